#!/bin/sh
# Makes the sysroot of a target board: Debian 12's libraries for it, unpacked.
#
#   toolchains/sysroot.sh ARCH [DIR]      ARCH: aarch64 | armv7
#
# Packages are only unpacked: no foreign architecture is added to the machine,
# no maintainer script and no emulator runs. The result is cached in DIR (by
# default $EDDY_SYSROOTS/ARCH, or eddy/sysroots/ARCH in the user's cache) and made
# again only when the list below changes; delete DIR to take newer packages. It
# is built beside its place and renamed, so that DIR is whole or not there.
# Needs mmdebstrap, and apt sources with Debian 12's main archive.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/apt-sources.sh"

packages=libc6-dev,linux-libc-dev,libgcc-12-dev,libstdc++-12-dev
packages=$packages,libabsl-dev,libsqlite3-dev,libcurl4-openssl-dev,libssl-dev,zlib1g-dev
packages=$packages,libmbedtls-dev,libxxhash-dev,rapidjson-dev,libcatch2-dev/bookworm-backports

arch=${1:-}
case $arch in
  aarch64) debian_arch=arm64 ;;
  armv7) debian_arch=armhf ;;
  *) echo "usage: $0 aarch64|armv7 [DIR]" >&2; exit 2 ;;
esac
dir=${2:-$(sysroots_dir)/$arch}

# What DIR was made from. Change the leading number when the steps change.
recipe="1 $debian_arch $packages"
if [ "$(cat "$dir/.made-from" 2>/dev/null)" = "$recipe" ]; then
  echo "sysroot $arch: up to date in $dir"
  exit 0
fi
command -v mmdebstrap >/dev/null || {
  echo "sysroot $arch: mmdebstrap is missing: apt-get install mmdebstrap" >&2; exit 1; }

mkdir -p "$(dirname "$dir")"
work=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

main_stanza deb "bookworm bookworm-backports" >"$work/main.sources" || {
  echo "sysroot $arch: this machine's apt sources have no Debian 12 main archive" >&2; exit 1; }
# How the machine itself reaches the archive (proxy, dates) holds here too.
apt-config dump 2>/dev/null |
  grep -E '^Acquire::(Check-Valid-Until|Check-Date|https?::Proxy) ' >"$work/apt.conf" || true

echo "sysroot $arch: unpacking Debian's $debian_arch packages"
if ! mmdebstrap --quiet --variant=extract --skip=check/qemu \
    --architectures="$debian_arch" --aptopt="$work/apt.conf" \
    --include="$packages" \
    bookworm "$work/root" "$work/main.sources" >"$work/log" 2>&1; then
  cat "$work/log" >&2
  echo "sysroot $arch: mmdebstrap failed" >&2
  exit 1
fi

# Debian 12's packages expect /lib to be in /usr; unpacking alone does not link it.
[ -e "$work/root/lib" ] || ln -s usr/lib "$work/root/lib"
# Absolute links would lead out of the sysroot, into the machine's own libraries.
find "$work/root" -type l -lname '/*' | while read -r link; do
  target=$(readlink "$link")
  ln -snf "$(realpath -m --relative-to="$(dirname "$link")" "$work/root$target")" "$link"
done
# A compiler needs none of these.
rm -rf "$work/root/dev" "$work/root/usr/share/doc" "$work/root/usr/share/man" \
  "$work/root/usr/share/locale" "$work/root/var/lib/apt/lists" "$work/root/var/cache/apt"
printf '%s\n' "$recipe" >"$work/root/.made-from"
chmod 755 "$work/root"

rm -rf "$dir"
mv "$work/root" "$dir"
echo "sysroot $arch: made $dir ($(du -sh "$dir" | cut -f1))"
