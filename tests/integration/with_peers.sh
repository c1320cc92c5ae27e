#!/bin/sh
# Runs the integration tests beside a set of peers of their own.
#   with_peers.sh plain|tls PROGRAM [argument...]
# Exit code 77: there is no node here, or the peers are not installed (npm ci there).
set -u
kind=$1
shift
peers=$(cd "$(dirname "$0")/../peers" && pwd)
node=$(command -v node) || { echo "with_peers.sh: no node here" >&2; exit 77; }
[ -d "$peers/node_modules" ] || { echo "with_peers.sh: $peers is not installed" >&2; exit 77; }

dir=$(mktemp -d)
# By the pipe too: the set ends when this script does, however it ends.
mkfifo "$dir/ready" "$dir/hold"
options=--stdin
[ "$kind" = tls ] && options="$options --tls"
"$node" "$peers/start.js" --dir "$dir/set" $options <"$dir/hold" >"$dir/ready" &
exec 9>"$dir/hold"
trap 'exec 9>&-; sh "$peers/stop.sh" "$dir/set"; rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
read -r line <"$dir/ready" && [ "$line" = ready ] || {
  echo "with_peers.sh: the peers did not start:" >&2
  tail -n 5 "$dir"/set/*.log >&2
  exit 1
}
[ "$kind" = tls ] && tags='[tls]' || tags='~[tls]'
[ $# -gt 1 ] || set -- "$1" "$tags"
EDDY_PEERS=$dir/set/peers.json EDDY_NODE=$node "$@"
