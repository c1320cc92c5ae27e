#!/bin/sh
# Runs the fuzz targets of a build, as many at once as there are processors.
#
#   tests/fuzz/run.sh BUILD [SECONDS [PROGRAM]]     SECONDS each, 10 by default
#
# Each begins with the inputs of its own seed function and with what earlier runs
# found worth keeping, in BUILD/corpus. What a target fails on is kept in
# BUILD/findings; how to repeat it is printed. The last line counts the targets.
set -u
build=${1:?usage: tests/fuzz/run.sh BUILD [SECONDS [PROGRAM]]}
seconds=${2:-10}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM

if [ $# -lt 3 ]; then
  ls "$build"/tests/fuzz/eddy_fuzz_* 2>/dev/null | while read -r program; do
    [ -f "$program" ] && [ -x "$program" ] && echo "$program"
  done | xargs -P "${EDDY_JOBS:-$(nproc 2>/dev/null || echo 2)}" -I{} \
    sh "$0" "$build" "$seconds" {} | tee "$log"
  passed=$(grep -c '^fuzz .* inputs, ok$' "$log")
  failed=$(grep -c '^fuzz .*: FAILED' "$log")
  echo "fuzz: $passed targets passed, $failed failed"
  [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
  exit
fi

program=$3
name=${program##*/eddy_fuzz_}
corpus=$build/corpus/$name
findings=$build/findings
if ! { mkdir -p "$corpus" "$findings" && "$program" --seeds "$corpus"; }; then
  echo "fuzz $name: FAILED before it began"
  exit 1
fi
# What took longer than the whole run, or 512 MB, is a finding as well.
if "$program" "$corpus" -max_total_time="$seconds" -max_len=4096 -timeout=10 \
    -rss_limit_mb=512 -print_final_stats=1 -artifact_prefix="$findings/$name-" >"$log" 2>&1; then
  echo "fuzz $name: $(sed -n 's/^stat::number_of_executed_units: //p' "$log") inputs, ok"
  exit 0
fi
tail -n 60 "$log"
input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
echo "fuzz $name: FAILED. To repeat it:"
echo "    $program ${input:-"$corpus -seed=$(sed -n 's/^INFO: Seed: //p' "$log")"}"
[ -z "$input" ] || echo "    the input in base64: $(base64 -w 0 "$input")"
exit 1
