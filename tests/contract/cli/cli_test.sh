#!/bin/sh
# The command `eddy`, end to end: what it prints and how it exits.
#   cli_test.sh EDDY WORK_DIR
# Each step is a fact; the first that does not hold is named and ends the test.
set -u
eddy=$1
work=$2
rm -rf "$work" && mkdir -p "$work" && cd "$work" || exit 1

holds() { # FACT COMMAND...
  fact=$1
  shift
  "$@" || { echo "does not hold: $fact" >&2; cat out err >&2; exit 1; }
  echo "holds: $fact"
}
run() { # EXPECTED_CODE ARGUMENTS...: output in out and err
  expected=$1
  shift
  "$eddy" "$@" >out 2>err </dev/null
  code=$?
  [ "$code" = "$expected" ] || echo "eddy $*: exit $code, not $expected" >&2
  [ "$code" = "$expected" ]
}
says() { grep -q -e "$2" "$1"; } # FILE PATTERN
lines() { [ "$(wc -l <"$1")" -eq "$2" ]; }
field() { cut -f "$2" "$1" | sed -n "$3p"; } # FILE FIELD LINE

# --- Usage
holds "without a command there is help, and exit 2" run 2
holds "help is on stdout when asked for" run 0 --help
holds "the exit codes are documented there" says out 'Exit codes'
holds "an unknown command is exit 2" run 2 stream burn s
holds "an unknown option is exit 2" run 2 status store --jsno
holds "it is named" says err 'unknown option --jsno'
holds "a missing argument is exit 2" run 2 stream put store
for command in "status none" "check none" "stream tail none s" "stream put none s k v" "queue receive none q"; do
  holds "where there is no store, '$command' is exit 2" run 2 $command
  holds "and nothing on stdout" lines out 0
done
holds "and no store is made by looking for one" test ! -e none

# --- Streams
holds "put --create makes store and stream" run 0 stream put store s pump-7 hello --create --shards 2
holds "put without --create does not make a stream" run 2 stream put store other k v
holds "put tells shard and sequence number" test "$(printf 'a\nb\nc\n' | "$eddy" stream put store s pump-8 - --lines | wc -l)" = 3
printf 'tab\there\nand \377' | "$eddy" stream put store s odd || exit 1
holds "tail reads all of it" run 0 stream tail store s
holds "one record a line" lines out 5
holds "with odd bytes escaped" says out 'tab\\there\\nand \\xff$'
grep 'pump-8' out >p8
holds "in order per key" test "$(cut -f 5 p8 | tr -d '\n')" = abc
second=$(field p8 2 2)
shard=$(field p8 1 1)
holds "tail begins where it is told" run 0 stream tail store s --from "$second" --shard "$shard" --limit 1
holds "and ends at the limit" lines out 1
holds "with the record of that sequence number" test "$(field out 2 1)" = "$second"
last=$(field p8 2 3)
tail_within() { timeout 20 "$eddy" stream tail store s --from $((last + 1)) --shard "$shard" >out; }
holds "tail goes on behind a record that it begins within" tail_within
holds "and does not print that" test -z "$(cut -f 2 out | grep -x "$last")"
holds "a place that no record can have is exit 2" run 2 stream tail store s --from 18446744073709551615
holds "from the latest there is nothing yet" run 0 stream tail store s --from latest
holds "so nothing is printed" lines out 0
holds "an unknown stream is exit 2" run 2 stream tail store nowhere
holds "JSON keeps odd bytes as base64" run 0 stream tail store s --json
holds "under a name that says so" says out '"data_base64":"dGFiCWhlcmUKYW5kIP8="'
holds "an empty key is refused" run 1 stream put store s '' v

# --- Queues
holds "send --create makes the queue" run 0 queue send store q 'job 1' --create
holds "send reads standard input" test -n "$(echo 'job 2' | "$eddy" queue send store q)"
holds "receive prints the oldest" run 0 queue receive store q
holds "its body and receive count" says out '	1	job 1$'
receipt=$(field out 1 1)
holds "its lease ended with the process" run 0 queue receive store q
holds "so it comes again, and is counted" says out '	2	job 1$'
holds "a receipt that is not the newest deletes nothing" run 1 queue delete store q "$receipt"
receipt=$(field out 1 1)
run 0 queue receive store q
receipt=$(field out 1 1)
holds "the newest receipt deletes, in another process" run 0 queue delete store q "$receipt"
holds "receive --delete takes the next" run 0 queue receive store q --delete
holds "which is the other message" says out 'job 2'
holds "an empty queue is exit 3" run 3 queue receive store q
holds "nonsense is no receipt" run 1 queue delete store q nonsense
holds "more than ten at once is exit 2" run 2 queue receive store q --max 11
"$eddy" queue send store q left-over >/dev/null

# --- Status and check
holds "status tells of streams and queues" run 0 status store
holds "the stream's records" says out 'shard .: [1-9]'
holds "the queue's messages" says out '  1 messages'
holds "status has a JSON form" run 0 status store --json
holds "with the same facts" says out '"name":"q".*"messages":1,'
holds "a store as eddy writes it passes the check" run 0 check store
holds "which counts what it saw" says out ' 0 damaged'
holds "SQLite's own check included" test -z "$(grep deep out)"
holds "and can be quiet" run 0 check store --quiet
holds "quite" lines out 0


# --- A look at a closed store
cp -r store closed && rm -f closed/eddy.db-wal closed/eddy.db-shm
ls closed >before
holds "status of a closed store works" run 0 status closed
ls closed >after
holds "and leaves no file behind" cmp before after
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  chmod 755 closed && chmod 644 closed/*
  as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$eddy" status closed >out 2>err; }
  if setpriv --reuid=65534 --regid=65534 --clear-groups test -r closed/eddy.db -a -x "$eddy"; then
    holds "and needs no right to write" as_nobody
  fi
fi

# --- A damaged block
cp -r closed damaged && LC_ALL=C sed -i 's/pump-7/pump-6/' damaged/eddy.db
holds "tail passes over a damaged block" run 0 stream tail damaged s
holds "prints the others" says out 'pump-8'
holds "and says so" says err 'passed over, 1 records'
holds "check finds it" run 1 check damaged

# --- Beside an owner: a receive that waits at an empty queue holds the store
run 0 queue send store empty x --create && run 0 queue receive store empty --delete
"$eddy" queue receive store empty --wait 20 >owner.out 2>owner.err </dev/null &
owner=$!
trap 'kill -9 $owner 2>/dev/null' EXIT
owned() { run 0 status store && says out "owned by process $owner"; }
at_work() { owned && says out 'disk good; flush interval 1000 ms'; } # after its open
tries=0
until at_work 2>/dev/null || [ $tries = 100 ]; do tries=$((tries + 1)); sleep 0.1; done
holds "status names the owner" owned
holds "with the state of its disk and its flush interval" at_work
holds "what was written to the disk, and how much of it a byte of payload" says out 'written to disk: .* ratio [0-9]'
holds "and what the stream keeps" says out 'keeps all, drops the oldest'
holds "status in JSON beside it" run 0 status store --json
holds "with the same" says out '"write_ratio":[0-9.]*,"disk_state":"good"'
holds "tail reads beside it" run 0 stream tail store s
holds "all that is committed" lines out 5
holds "check passes beside it" run 0 check store
holds "without SQLite's check, which would hold up the WAL, and says so" says out 'without --deep'
holds "unless it is asked for" run 0 check store --deep
holds "then it says nothing of it" test -z "$(grep deep out)"
holds "put is refused, exit 2" run 2 stream put store s k v
holds "and the owner named" says err "process $owner"
kill -9 $owner
wait $owner 2>/dev/null
holds "the dead owner is told from a clean close" run 0 status store
holds "by these words" says out 'not closed cleanly'
holds "check passes then, too" run 0 check store
holds "and the store can be owned again" run 0 stream put store s k v
trap - EXIT

# --- Following: owners come and go, the tail stays
"$eddy" stream tail store s --from latest --follow >followed 2>err &
follower=$!
trap 'kill $follower 2>/dev/null' EXIT
tries=0
until [ -s followed ] || [ $tries = 100 ]; do # it may be slow to start
  tries=$((tries + 1))
  run 0 stream put store s pump-9 start
  sleep 0.1
done
for value in one two three; do run 0 stream put store s pump-9 $value; done
followed() { [ "$(cut -f 5 followed | grep -v start | tr '\n' ' ')" = "one two three " ]; }
tries=0
until followed || [ $tries = 100 ]; do tries=$((tries + 1)); sleep 0.1; done
cp followed out
holds "tail --follow prints what is committed later, in order, once" followed
kill $follower
wait $follower 2>/dev/null
trap - EXIT

# --- Damage, done by a hand that knows SQLite
damage() { # DIRECTORY SQL
  rm -rf "$1" && cp -r store "$1" && python3 - "$1/eddy.db" "$2" <<'SQL'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.executescript(sys.argv[2])
db.commit()
db.close()
SQL
}
found() { # FACT SQL PATTERN
  damage hurt "$2" || exit 1
  holds "check finds $1" run 1 check hurt
  holds "and says so" says out "^damaged: .*$3"
}
block='(SELECT max(id) FROM blocks)'
found "a flipped byte" "UPDATE blocks SET bytes = CAST(substr(bytes, 1, length(bytes) - 1) || x'7f' AS BLOB) WHERE id = $block" checksum
found "a wrong count of frames" "UPDATE blocks SET frame_count = frame_count + 1 WHERE id = $block" 'the row says'
found "blocks of no log" "UPDATE blocks SET id = id + (999 << 47) WHERE id = $block" 'not in logs'
found "a gap in the hash keys" "UPDATE shards SET starting_hash_key = x'80000000000000000000000000000001' WHERE shard = 1" 'hash range begins'
found "a stream without shards" "DELETE FROM shards" 'no shards'
found "a cursor beyond the log" "INSERT INTO cursors SELECT id, 'c', 0, 1 << 40 FROM streams" 'log ends'
found "a cursor of no shard" "INSERT INTO cursors SELECT id, 'c', 77, 0 FROM streams" 'does not exist'
found "a received message that is not there" "INSERT INTO deliveries SELECT id, 1 << 40, 1, 0, 0 FROM queues LIMIT 1" 'no message'
damage newer 'PRAGMA user_version = 99'
holds "a newer schema is exit 2" run 2 check newer
holds "with both versions named" says err '99'
mkdir foreign && echo 'not a database' >foreign/eddy.db
holds "a foreign file is exit 2" run 2 status foreign

# --- Damage beyond opening
spoil() { # DIRECTORY PAGE: a page of zeros in a copy of the store, which was closed
  rm -rf "$1" && cp -r store "$1" && rm -f "$1"/eddy.db-wal "$1"/eddy.db-shm || exit 1
  dd if=/dev/zero of="$1/eddy.db" bs=4096 seek=$(($2 - 1)) count=1 conv=notrunc 2>/dev/null
}
run 0 stream put store s k last  # nobody reads beside it: its close copies the WAL
run 0 stream tail store s && cp out all_records
for page in 1 2 3; do
  spoil beyond $page
  cp beyond/eddy.db before
  holds "check of a store whose page $page is gone is exit 1" run 1 check beyond
  holds "and it changes nothing" cmp before beyond/eddy.db
  rm -rf fresh
  holds "salvage --into makes a new store of what is intact" run 0 salvage beyond --into fresh
  holds "and leaves the old one as it is" cmp before beyond/eddy.db
  holds "and nothing in it" test ! -e beyond/damaged-1
  holds "the new one passes the check" run 0 check fresh
  run 0 stream tail fresh s
  holds "and holds every record" cmp all_records out
  holds "salvage sets the database aside" run 0 salvage beyond
  holds "as it was" cmp before beyond/damaged-1/eddy.db
  holds "and says what came of it" says out 'salvaged [1-9][0-9]* records .*; 0 lost'
  holds "the store passes the check then" run 0 check beyond
  run 0 stream tail beyond s
  holds "and holds every record" cmp all_records out
  holds "the message that was left, too" run 0 queue receive beyond q
  holds "status tells of it" run 0 status beyond
  holds "in these words" says out 'salvage done: [1-9]'
  holds "and of where the old one is" says out 'set aside: 1'
  holds "in JSON too" run 0 status beyond --json
  holds "by these names" says out '"set_asides":1,"salvage":"done"'
  holds "a second salvage finds nothing to do" run 0 salvage beyond
  rm -rf second
  holds "what was set aside can be salvaged once more" run 0 salvage beyond/damaged-1 --into second
  run 0 stream tail second s
  holds "with every record" cmp all_records out
done
holds "an ordinary command salvages as well" spoil usual 1
holds "without being asked" run 0 stream put usual s k v
holds "and says nothing" lines err 0
damage lossy "UPDATE blocks SET checksum = checksum + 1 WHERE id = $block"
dd if=/dev/zero of=lossy/eddy.db bs=4096 seek=1 count=1 conv=notrunc 2>/dev/null
holds "what is lost makes salvage exit 1" run 1 salvage lossy
holds "and is counted" says out ' [1-9][0-9]* lost'
spoil emptied 4
holds "also where all of it is lost" run 1 salvage emptied
holds "which it says" says out "salvaged 0 .*; [1-9][0-9]* lost"
holds "a store that is well is exit 0" run 0 salvage store
holds "and left as it is" test ! -e store/damaged-1
holds "where there is no store, salvage is exit 2" run 2 salvage none
holds "and --into makes none either" run 2 salvage none --into new
holds "so there is none" test ! -e new
holds "a file of somebody else is exit 2" run 2 salvage foreign
holds "and stays" test -e foreign/eddy.db
holds "a place that holds a store is not written into" run 2 salvage store --into second
holds "a newer schema is exit 2" run 2 salvage newer

echo "all holds"
