#!/bin/sh
# Makes Abseil for ThreadSanitizer: the source of Debian's package, built with
# -fsanitize=thread and installed in a cached directory.
#
#   toolchains/absl-tsan.sh [DIR]         DIR: by default absl-tsan beside the sysroots
#
# ThreadSanitizer must see Abseil's own locks: with the packaged libabsl every
# use of absl::Mutex is reported as a race. It is Abseil as its authors publish
# it, without Debian's patches, so that absl::string_view is std::string_view:
# the other of the two kinds of Abseil that eddy must compile with.
# About a minute on two cores, once. Needs apt sources with Debian 12's
# main archive, cmake and ninja.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/apt-sources.sh"

dir=${1:-$(sysroots_dir)/absl-tsan}
recipe="2 $(uname -m) $(c++ -dumpfullversion)"
if [ "$(cat "$dir/.made-from" 2>/dev/null)" = "$recipe" ]; then
  echo "absl-tsan: up to date in $dir"
  exit 0
fi

mkdir -p "$(dirname "$dir")"
work=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
fail() { cat "$work/log" >&2; echo "absl-tsan: $1" >&2; exit 1; }

# The machine's own package lists stay as they are: these live in $work.
mkdir -p "$work/lists/partial" "$work/source" "$work/cache"
main_stanza deb-src bookworm >"$work/main.sources" || {
  echo "absl-tsan: this machine's apt sources have no Debian 12 main archive" >&2; exit 1; }
chmod -R a+rX "$work"
apt="apt-get -qq -o APT::Sandbox::User=root -o Dir::Etc::SourceList=$work/main.sources
  -o Dir::Etc::SourceParts=- -o Dir::State::Lists=$work/lists -o Dir::Cache=$work/cache"

echo "absl-tsan: fetching the source of Debian's abseil"
$apt update >"$work/log" 2>&1 || fail "apt-get update failed"
(cd "$work/source" && $apt source --download-only abseil) >"$work/log" 2>&1 ||
  fail "the source package cannot be fetched"
tar -x -C "$work/source" --strip-components=1 -f "$work"/source/abseil_*.orig.tar.*
# A third of the whole, and nothing of eddy's stands on it.
sed -i '/add_subdirectory(\(flags\|random\))/d' "$work/source/absl/CMakeLists.txt"

echo "absl-tsan: building it with -fsanitize=thread"
{
  cmake -S "$work/source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=None \
    -DCMAKE_CXX_FLAGS="-O1 -g1 -fsanitize=thread" -DCMAKE_CXX_STANDARD=17 \
    -DBUILD_TESTING=OFF -DABSL_PROPAGATE_CXX_STD=ON -DCMAKE_INSTALL_LIBDIR=lib \
    -DCMAKE_INSTALL_PREFIX="$dir" &&
  cmake --build "$work/build" -j "$(nproc)" &&
  DESTDIR="$work/stage" cmake --install "$work/build"
} >"$work/log" 2>&1 || fail "the build failed"
printf '%s\n' "$recipe" >"$work/stage$dir/.made-from"

rm -rf "$dir"
mv "$work/stage$dir" "$dir"
echo "absl-tsan: made $dir ($(du -sh "$dir" | cut -f1))"
