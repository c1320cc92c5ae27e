#!/bin/sh
# Builds the benchmarks and runs them: a table, and results.json beside the
# binary. --check: exit status 1, naming each bar that does not hold.
# EDDY_BENCH_DIR: where to write (default: the build directory's disk).
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
sh "$root/tests/deps.sh" --quick
build="$root/build/bench"
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DEDDY_BENCH=ON \
  -DEDDY_TESTS=OFF -DEDDY_EXAMPLES=OFF -DEDDY_CLI=OFF -DEDDY_FORWARD=OFF >/dev/null
cmake --build "$build" --target eddy_bench
"$build/tests/bench/eddy_bench" "${EDDY_BENCH_DIR:-$build}" --json "$build/results.json" "$@"
