#!/bin/sh
# Builds the benchmarks and runs them: a table; beside the binary results.json and
# report.html, a picture (gnuplot) of how far each bar is passed or missed.
#
#   --check       exit status 1, naming each bar that does not hold or was not measured
#   --only NAME   accept, sustained, power, open, queue or unmeasured
#   --quick       a twentieth of each size, for development; never with --check
#   --rounds N    medians of N (default 3)
#
# Installs the peers first. EDDY_BENCH_DIR: where to write (default: the build
# directory's disk).
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
sh "$root/tests/deps.sh" --bench
build="$root/build/bench"
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DEDDY_BENCH=ON \
  -DEDDY_TESTS=OFF -DEDDY_EXAMPLES=OFF -DEDDY_CLI=OFF -DEDDY_FORWARD=OFF >/dev/null
cmake --build "$build" --target eddy_bench
status=0
"$build/tests/bench/eddy_bench" "${EDDY_BENCH_DIR:-$build}" --json "$build/results.json" \
  --plot "$build/bars.tsv" "$@" || status=$?
if [ -s "$build/bars.tsv" ] && [ $status -le 1 ]; then
  sh "$root/tests/bench/picture.sh" "$build/bars.tsv" "$build/report.html"
  echo "picture: $build/report.html"
fi
exit $status
