#!/bin/sh
# Installs what is missing for the tests, and only that; quick when nothing is.
#
#   tests/deps.sh            everything that tests/run.sh uses
#   tests/deps.sh --quick    what tests/run.sh --quick uses
#   tests/deps.sh --bench    what tests/bench uses: the peers and gnuplot besides
#   tests/deps.sh --demo     what the library and examples/demo.sh need
#
# For Debian 12 and root. Without root, or elsewhere, it names what is missing
# and fails; where nothing is missing it succeeds for everyone.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../toolchains/apt-sources.sh"

kind=full
case ${1:-} in
  '') ;;
  --quick) kind=quick ;;
  --demo) kind=demo ;;
  --bench) kind=bench ;;
  *) echo "usage: $0 [--quick | --bench | --demo]" >&2; exit 2 ;;
esac

# Programs as command:package, so that one from elsewhere counts; libraries as
# packages, for which apt is asked. Catch2 3 is in Debian 12's backports only.
programs="g++:g++ cmake:cmake ninja:ninja-build pkg-config:pkg-config"
libraries="libabsl-dev libsqlite3-dev libcurl4-openssl-dev libmbedtls-dev
  libxxhash-dev rapidjson-dev"
if [ $kind = full ] || [ $kind = demo ]; then # the services on loopback
  programs="$programs node:nodejs npm:npm"
fi
if [ $kind != demo ]; then # python3 for tests/tidy; ccache spares a second build
  programs="$programs ccache:ccache python3:python3"
  libraries="$libraries libcatch2-dev"
fi
if [ $kind = bench ]; then
  programs="$programs gnuplot:gnuplot-nox"
  libraries="$libraries liblmdb-dev libleveldb-dev librocksdb-dev"
fi
if [ $kind = full ]; then # openssl makes the certificates of the services with TLS
  programs="$programs openssl:openssl clang++:clang
    aarch64-linux-gnu-g++:g++-aarch64-linux-gnu
    arm-linux-gnueabihf-g++:g++-arm-linux-gnueabihf
    qemu-aarch64-static:qemu-user-static mmdebstrap:mmdebstrap"
  libraries="$libraries libclang-rt-dev" # the sanitizers, which clang only recommends
fi

missing_programs() {
  for entry in $programs; do
    command -v "${entry%%:*}" >/dev/null 2>&1 || printf '%s ' "${entry#*:}"
  done
}
missing_libraries() {
  for package in $libraries; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed' ||
      printf '%s ' "$package"
  done
}

if ! command -v apt-get >/dev/null 2>&1; then
  echo "deps: no apt here, so nothing is installed. eddy builds with what Debian 12 calls"
  echo "deps:   $(for entry in $programs; do printf '%s ' "${entry#*:}"; done)" $libraries
  missing=$(missing_programs)
  [ -z "$missing" ] || { echo "deps: missing programs: $missing" >&2; exit 1; }
  exit 0
fi

missing="$(missing_programs)$(missing_libraries)"
if [ -z "$missing" ]; then
  echo "deps: nothing is missing"
  exit 0
fi
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
if [ "$(id -u)" != 0 ] || [ "$release" != bookworm ]; then
  echo "deps: missing: $missing" >&2
  if [ "$release" = bookworm ]; then
    echo "deps: install them, or run $0 as root (libcatch2-dev comes from bookworm-backports)" >&2
  else
    echo "deps: this script installs on Debian 12 only; install their like (Catch2 3, cmake 3.25)" >&2
  fi
  exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
quietly() { "$@" >"$log" 2>&1 || { cat "$log" >&2; return 1; }; }
update() { quietly apt-get -qq -o DPkg::Lock::Timeout=300 update; }
known() { apt-cache policy "$@" 2>/dev/null | grep -c 'Candidate: [^(]' || true; }

case " $missing" in
  *' libcatch2-dev '*)
    if [ "$(known libcatch2-dev)" = 0 ]; then
      list=/etc/apt/sources.list.d/bookworm-backports.sources
      if ! grep -rqs '^[^#]*bookworm-backports' /etc/apt/sources.list /etc/apt/sources.list.d; then
        echo "deps: turning on bookworm-backports in $list"
        stanza=$(main_stanza deb bookworm-backports) || {
          echo "deps: apt's sources have no Debian 12 main archive" >&2; exit 1; }
        printf '%s\n' "$stanza" >"$list"
      fi
      update
    fi ;;
esac
wanted=$(echo $missing | sed 's,libcatch2-dev,&/bookworm-backports,')
[ "$(known $missing)" = "$(echo $missing | wc -w)" ] || update
echo "deps: installing $wanted"
install() {
  apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install $wanted
}
# Package lists that are too old name files that are gone: take new ones, once.
install >"$log" 2>&1 || { update && quietly install; }
