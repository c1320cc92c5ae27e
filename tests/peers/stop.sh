#!/bin/sh
# Stops the set that start.js runs in DIR, by its process id, and returns when it is gone.
#   stop.sh DIR
# A set that does not run is no error. The children need no care of ours: they end with start.js.
dir=${1:?usage: stop.sh DIR}
pid=$(cat "$dir/start.pid" 2>/dev/null) || exit 0

# The number alone could belong to somebody else by now.
runs() { { tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q 'start\.js'; } 2>/dev/null; }

if runs; then
  kill -TERM "$pid"
  for _ in $(seq 100); do
    runs || exit 0
    sleep 0.05
  done
  kill -KILL "$pid"
  echo "stop.sh: start.js ($pid) had to be killed" >&2
fi
rm -f "$dir/start.pid" "$dir/peers.json" # it had no chance to do so itself
