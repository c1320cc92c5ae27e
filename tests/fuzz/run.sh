#!/bin/sh
# Runs the fuzz targets of a build, one after the other.
#
#   tests/fuzz/run.sh BUILD [SECONDS]     SECONDS each, 10 by default
#
# Each begins with the inputs of its own seed function and with what earlier runs
# found worth keeping, in BUILD/corpus. What a target fails on is kept in
# BUILD/findings; how to repeat it is printed. The last line counts the targets.
set -u
build=${1:?usage: tests/fuzz/run.sh BUILD [SECONDS]}
seconds=${2:-10}
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM

for program in "$build"/tests/fuzz/eddy_fuzz_*; do
  [ -f "$program" ] && [ -x "$program" ] || continue
  name=${program##*/eddy_fuzz_}
  corpus=$build/corpus/$name
  findings=$build/findings
  mkdir -p "$corpus" "$findings" && "$program" --seeds "$corpus" || exit 1
  # What took longer than the whole run, or 512 MB, is a finding as well.
  if "$program" "$corpus" -max_total_time="$seconds" -max_len=4096 -timeout=10 \
      -rss_limit_mb=512 -print_final_stats=1 -artifact_prefix="$findings/$name-" >"$log" 2>&1; then
    passed=$((passed + 1))
    echo "fuzz $name: $(sed -n 's/^stat::number_of_executed_units: //p' "$log") inputs, ok"
  else
    failed=$((failed + 1))
    tail -n 60 "$log"
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    echo "fuzz $name: FAILED. To repeat it:"
    echo "    $program ${input:-"$corpus -seed=$(sed -n 's/^INFO: Seed: //p' "$log")"}"
    [ -z "$input" ] || echo "    the input in base64: $(base64 -w 0 "$input")"
  fi
done
echo "fuzz: $passed targets passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
