// Kills a gateway with SIGKILL in mid-write: while an event is on its way to the
// disk, its Send begun and not returned. A random moment would nearly always be
// a quiet one.
//   node kill_in_write.js ACCOUNT_DIR PID
//
// The account shows such a moment, but it is over before a signal arrives. So the
// gateway is first stopped, looked at again, and killed only if the Send is still
// in the air; else it goes on, and so does the search. Exit code 1, and the
// gateway lives, if no moment was found in time: the demo would prove nothing.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { accountFiles, parseRows } = require('./account.js');

const WAIT_MS = 30000;
const STIR_MS = 500;

const [directory, pid] = process.argv.slice(2);
const file = fs.openSync(accountFiles(directory, 'queue').at(-1).file);
const rows = Buffer.alloc(8192); // the watched sensors are few; a short look is a fresh one

// The row of an event that is being written, if there is one.
function inMidWrite() {
  fs.readSync(file, rows, 0, rows.length, 0);
  return parseRows(rows).find(({ captured, accepted, refused }) => captured > accepted + refused);
}

// Whether its main thread, which writes the account, stands still for good.
function isStopped() {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
  const state = stat[stat.lastIndexOf(')') + 2];
  if (state === 'Z') throw new Error(`the gateway (${pid}) has ended by itself`);
  return state === 'T';
}

// On a quiet machine events are rare. New processes in bursts cross the threshold
// of their rate, up and down again.
function stir() {
  for (let i = 0; i < 5; ++i) spawnSync('true');
}

// [the sensor whose event was caught in the air, or undefined; the moments that were over too soon]
function killInMidWrite() {
  const deadline = Date.now() + WAIT_MS;
  let missed = 0;
  let nextStir = Date.now() + STIR_MS;
  while (Date.now() < deadline) {
    if (Date.now() >= nextStir) {
      stir();
      nextStir = Date.now() + STIR_MS;
    }
    if (!inMidWrite()) continue;
    process.kill(pid, 'SIGSTOP');
    while (!isStopped());
    const caught = inMidWrite();
    process.kill(pid, caught ? 'SIGKILL' : 'SIGCONT');
    if (caught) return [caught.sensor, missed];
    ++missed;
  }
  return [undefined, missed];
}

const [sensor, missed] = killInMidWrite();
if (sensor) {
  console.log(`killed while an event of ${sensor} was being written (moments missed before: ${missed})`);
} else {
  console.error(`no event was being written for ${WAIT_MS / 1000} s (moments missed: ${missed}); not killed`);
  process.exitCode = 1;
}
