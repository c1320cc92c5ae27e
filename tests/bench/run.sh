#!/bin/sh
# Builds the benchmarks as eddy ships and runs them: a table; and beside the binary
# results.json, report.html and report.png, a picture (gnuplot) of how far each bar
# is passed or missed. All of it takes some ten minutes and, for a while, 6 GB of disk.
#
#   --check       exit status 1, naming each bar that does not hold or was not measured
#   --only NAME   accept, sustained, power, wear, open, queue, backlog or device
#   --quick       small sizes, one round: under a minute; proves no bar
#   --rounds N    how often each is repeated (default 3); numbers are medians
#
# Installs the peers first. EDDY_BENCH_DIR: where to write (default: the build
# directory's disk). Each peer is used as its documentation advises for speed at the
# same durability: the head of its file here says how.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
sh "$root/tests/deps.sh" --bench
build="$root/build/bench"
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  "-DCMAKE_CXX_FLAGS_RELEASE=-O2 -DNDEBUG" -DEDDY_BENCH=ON \
  -DEDDY_TESTS=OFF -DEDDY_EXAMPLES=OFF -DEDDY_CLI=OFF -DEDDY_FORWARD=OFF >/dev/null
cmake --build "$build" --target eddy_bench
commit=$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)
rm -f "$build/bars.tsv"
status=0
"$build/tests/bench/eddy_bench" "${EDDY_BENCH_DIR:-$build}" --json "$build/results.json" \
  --plot "$build/bars.tsv" --commit "$commit" "$@" || status=$?
if [ -s "$build/bars.tsv" ]; then
  sh "$root/tests/bench/picture.sh" "$build/bars.tsv" "$build/report.html" "$build/report.png"
  echo "picture: $build/report.html, $build/report.png"
fi
exit $status
