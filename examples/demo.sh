#!/bin/sh
# The main job, end to end, in about a minute: a gateway captures this machine's
# telemetry while its link is cut, it is killed with SIGKILL, started again and
# the link restored; then everything is read back from the services and judged.
#
#   sh examples/demo.sh
#
# Installs what is missing and builds first. The Kinesis and SQS services run on
# loopback (tests/peers), the link to them through a proxy that can cut it. The
# last line is the account; the exit code is 0 only if nothing was lost and no
# sensor's readings are out of order. EDDY_DEMO_KEEP=1 keeps the work directory.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/release
peers=$root/tests/peers
work=
gateway=
starter=

say() { printf '\n== %s\n' "$*"; }

finish() {
  status=$?
  trap - EXIT HUP INT TERM
  [ -z "$gateway" ] || kill -9 "$gateway" 2>/dev/null || true
  [ -z "$starter" ] || sh "$peers/stop.sh" "$work/peers" || true
  [ -z "$starter" ] || kill "$starter" 2>/dev/null || true # too young for stop.sh
  case $status in
    0 | 129 | 130 | 143) [ -z "$work" ] || [ -n "${EDDY_DEMO_KEEP:-}" ] || rm -rf "$work" ;;
    *) [ -z "$work" ] || echo "the store, the account and the logs stay in $work" >&2 ;;
  esac
  exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# --- What it needs

say "installing what is missing"
sh "$root/tests/deps.sh" --demo
if [ -z "$(find "$peers/node_modules/.package-lock.json" -newer "$peers/package-lock.json" 2>/dev/null)" ]; then
  (cd "$peers" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)
fi

say "building"
# The build that tests/run.sh begins with; without the tests, if it is new.
tests=
[ -f "$build/CMakeCache.txt" ] || tests=-DEDDY_TESTS=OFF
cmake -S "$root" --preset release $tests -DEDDY_EXAMPLES=ON -DEDDY_CLI=ON >/dev/null
cmake --build "$build" --target gateway eddy_cli

say "starting Kinesis and SQS on loopback"
work=$(mktemp -d)
[ -z "${EDDY_DEMO_KEEP:-}" ] || echo "the store, the account and the logs will stay in $work"
mkdir "$work/peers"
node "$peers/start.js" --dir "$work/peers" >"$work/peers.log" 2>&1 &
starter=$!
tries=0
until [ -s "$work/peers/peers.json" ]; do
  tries=$((tries + 1))
  kill -0 "$starter" 2>/dev/null && [ "$tries" -lt 600 ] || { cat "$work/peers.log" >&2; exit 1; }
  sleep 0.1
done
json=$work/peers/peers.json
node "$peers/admin.js" "$json" create-stream telemetry 4
node "$peers/admin.js" "$json" create-queue events >/dev/null

# Region, endpoints and credentials, as any AWS client takes them.
eval "$(node -e '
  const peers = require(process.argv[1]);
  const set = { AWS_REGION: peers.region, AWS_ENDPOINT_URL_KINESIS: peers.kinesis.endpoint,
    AWS_ENDPOINT_URL_SQS: peers.sqs.endpoint, AWS_ACCESS_KEY_ID: peers.credentials[0].keyId,
    AWS_SECRET_ACCESS_KEY: peers.credentials[0].secret,
    AWS_SESSION_TOKEN: peers.credentials[0].token ?? "" };
  for (const [name, value] of Object.entries(set)) console.log(`export ${name}="${value}"`);
' "$json")"

# --- The play

# link ACTION...: orders to the proxies of both services.
link() {
  node -e '
    const { control } = require(process.argv[1]);
    const peers = require(process.argv[2]);
    const orders = process.argv.slice(3).map((action) => ({ action }));
    Promise.all([peers.kinesis, peers.sqs].map((service) => control(service.chaosControl, orders)))
      .catch((error) => { console.error(error.message); process.exit(1); });
  ' "$peers/client.js" "$json" "$@"
}
start_gateway() {
  "$build/examples/gateway" "$work/store" --drain 60 &
  gateway=$!
}
# play SECONDS: lets the gateway run on, which shows a line each second.
play() {
  sleep "$1"
  kill -0 "$gateway" 2>/dev/null || { echo "demo: the gateway has ended" >&2; exit 1; }
}
kill_gateway() {
  node "$root/examples/kill_in_write.js" "$work/store/account" "$gateway"
  wait "$gateway" 2>/dev/null || true
  gateway=
}

say "the gateway captures and forwards, 12 s"
start_gateway
play 12.2

say "the link is cut; the gateway goes on keeping, 10 s"
link refuse cut
play 10.3

say "SIGKILL in the middle of its writing, while offline; what the disk holds by now:"
kill_gateway
"$build/src/cli/eddy" status "$work/store"

say "it is started again, still offline, 6 s"
start_gateway
play 6.2

say "the link is back; it catches up, and while it does, SIGKILL once more"
link restore
play 0.7
kill_gateway

say "started again, 10 s"
start_gateway
play 10.2

say "no more is captured; waiting until all is delivered"
kill -TERM "$gateway"
stopped=0
wait "$gateway" || stopped=$?
gateway=
[ "$stopped" = 0 ] || { echo "demo: the gateway ended with $stopped" >&2; exit 1; }

say "checking the store"
"$build/src/cli/eddy" check "$work/store"

# --- The account

say "reading everything back from the services"
node "$peers/readback.js" "$json" stream telemetry >"$work/stream.lines"
node "$peers/readback.js" "$json" queue events >"$work/queue.lines"

say "the account"
node "$root/examples/judge.js" "$work/store/account" "$work/stream.lines" "$work/queue.lines"
