// Reads the files that account.h describes.
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const ROW_BYTES = 80;
const KEY_BYTES = 56;
const COUNTERS = ['captured', 'accepted', 'refused'];

// [{run, file}] of one kind, "stream" or "queue", in the order of the runs.
function accountFiles(directory, kind) {
  return fs.readdirSync(directory)
    .map((name) => ({ name, match: name.match(/^run-(\d+)\.(\w+)$/) }))
    .filter(({ match }) => match?.[2] === kind)
    .map(({ name, match }) => ({ run: Number(match[1]), file: path.join(directory, name) }))
    .sort((a, b) => a.run - b.run);
}

// [{sensor, captured, accepted, refused}] of a file's bytes.
function parseRows(bytes) {
  const counter = (at) => Number(os.endianness() === 'LE' ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
  const rows = [];
  for (let at = 0; at + ROW_BYTES <= bytes.length && bytes[at] !== 0; at += ROW_BYTES) {
    const row = { sensor: bytes.toString('utf8', at, bytes.indexOf(0, at)) };
    COUNTERS.forEach((name, i) => { row[name] = counter(at + KEY_BYTES + 8 * i); });
    rows.push(row);
  }
  return rows;
}

module.exports = { accountFiles, parseRows };
