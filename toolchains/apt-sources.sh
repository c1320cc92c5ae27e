# Sourced by the scripts that need a package archive. Names no host: what this
# machine's own apt is told to use is the only source.

# main_stanza TYPES SUITES: prints a deb822 stanza with this machine's main
# archive of Debian 12 (not its security or updates archive, whose indexes for
# other architectures are not always whole). Fails when apt knows no such archive.
main_stanza() {
  for file in ${EDDY_APT_SOURCES:-/etc/apt/sources.list.d/*.sources}; do
    [ -r "$file" ] || continue
    awk -v types="$1" -v suites="$2" '
      BEGIN { RS = ""; status = 1 }
      /(^|\n)Enabled:[ \t]*no/ { next }
      /(^|\n)Suites:([^\n]*[ \t])?bookworm([ \t\n]|$)/ {
        sub(/Types:[^\n]*/, "Types: " types)
        sub(/Suites:[^\n]*/, "Suites: " suites)
        print
        status = 0
        exit
      }
      END { exit status }' "$file" && return 0
  done
  # The one-line form: deb [options] URI suite components...
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -r "$file" ] || continue
    awk -v types="$1" -v suites="$2" '
      BEGIN { status = 1 }
      $1 == "deb" {
        line = $0
        signed = ""
        if (match(line, /\[[^]]*\]/)) {
          options = substr(line, RSTART + 1, RLENGTH - 2)
          line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
          if (match(options, /signed-by=[^ ]+/)) signed = substr(options, RSTART + 10, RLENGTH - 10)
        }
        count = split(line, field, /[ \t]+/)
        if (field[3] != "bookworm") next
        printf "Types: %s\nURIs: %s\nSuites: %s\nComponents:", types, field[2], suites
        for (i = 4; i <= count && field[i] !~ /^#/; i++) printf " %s", field[i]
        print ""
        if (signed != "") print "Signed-By: " signed
        status = 0
        exit
      }
      END { exit status }' "$file" && return 0
  done
  return 1
}

# Where unpacked targets are kept between builds.
sysroots_dir() {
  printf '%s\n' "${EDDY_SYSROOTS:-${XDG_CACHE_HOME:-$HOME/.cache}/eddy/sysroots}"
}
