// Kills a gateway with SIGKILL in mid-write: while an event is on its way to the
// disk, its Send begun and not returned. A random moment would nearly always be
// a quiet one.
//   node kill_in_write.js ACCOUNT_DIR PID
'use strict';

const fs = require('node:fs');
const { accountFiles, parseRows } = require('./account.js');

const WAIT_MS = 5000; // then at any moment

const [directory, pid] = process.argv.slice(2);
const file = fs.openSync(accountFiles(directory, 'queue').at(-1).file);
const rows = Buffer.alloc(8192); // the watched sensors are few; a short look is a fresh one
const deadline = Date.now() + WAIT_MS;
let caught;
while (!caught && Date.now() < deadline) {
  fs.readSync(file, rows, 0, rows.length, 0);
  caught = parseRows(rows).find(({ captured, accepted, refused }) => captured > accepted + refused);
}
process.kill(Number(pid), 'SIGKILL');
console.log(caught ? `killed while an event of ${caught.sensor} was being written` : 'killed while nothing was being written');
