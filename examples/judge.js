// The demo's judge: compares what the gateway's account says with what was read
// back from the services, and trusts no other word of eddy.
//   node judge.js ACCOUNT_DIR STREAM_LINES QUEUE_LINES
//
// ACCOUNT_DIR holds the files that account.h describes; the two others are what
// tests/peers/readback.js printed. A record is named by its sensor, the run of
// the gateway that captured it, and its number n within both.
//
//   captured      readings taken and events found
//   accepted      those whose Put or Send returned OK, and those that a SIGKILL
//                 kept from returning and that arrived
//   delivered     different records read back
//   duplicates    records read back more often than once, each time counted
//   lost          accepted, and not read back
//   out-of-order  in the stream: records that arrived after a later one of
//                 their sensor, counting first arrivals in the service's own
//                 order. A standard queue promises no order.
//
// Exit code 0 only if nothing is lost, out of order or of unknown origin.
'use strict';

const fs = require('node:fs');
const { accountFiles, parseRows } = require('./account.js');

// Map from "sensor run" to {captured, accepted, refused}.
function readAccount(directory, kind) {
  return new Map(accountFiles(directory, kind).flatMap(
    ({ run, file }) => parseRows(fs.readFileSync(file)).map((row) => [`${row.sensor} ${run}`, row])));
}

// [{sensor, run, n}] in the service's order, a shard after the other.
function readArrivals(file) {
  return fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => {
    const { key, dataBase64, bodyBase64 } = JSON.parse(line);
    const record = JSON.parse(Buffer.from(dataBase64 ?? bodyBase64, 'base64'));
    if (key !== undefined && key !== record.sensor) throw new Error(`the record of ${record.sensor} came under the key ${key}`);
    return record;
  });
}

function judge(account, arrivals) {
  const seen = new Map(); // "sensor run" -> set of n
  const last = new Map(); // sensor -> the latest record that arrived
  const result = { captured: 0, accepted: 0, refused: 0, uncertain: 0, delivered: 0, duplicates: 0, lost: 0, outOfOrder: 0, unknown: 0 };
  for (const { sensor, run, n } of arrivals) {
    const name = `${sensor} ${run}`;
    const row = account.get(name);
    if (!row || !(n >= 1 && n <= row.captured - row.refused)) {
      ++result.unknown;
      continue;
    }
    if (!seen.has(name)) seen.set(name, new Set());
    if (seen.get(name).has(n)) {
      ++result.duplicates;
      continue;
    }
    seen.get(name).add(n);
    ++result.delivered;
    const before = last.get(sensor);
    if (before && (run < before.run || (run === before.run && n < before.n))) ++result.outOfOrder;
    else last.set(sensor, { run, n });
  }
  for (const [name, { captured, accepted, refused }] of account) {
    const numbers = seen.get(name) ?? new Set();
    result.captured += captured;
    result.accepted += accepted;
    result.refused += refused;
    for (let n = 1; n <= accepted; ++n) result.lost += !numbers.has(n);
    // The SIGKILL came between the two counts: accepted if it arrived.
    if (captured > accepted + refused) {
      ++result.uncertain;
      result.accepted += numbers.has(accepted + 1);
    }
  }
  return result;
}

function main([directory, streamFile, queueFile]) {
  const stream = judge(readAccount(directory, 'stream'), readArrivals(streamFile));
  const queue = judge(readAccount(directory, 'queue'), readArrivals(queueFile));
  queue.outOfOrder = 0; // see above

  const lines = [
    ['captured', 'captured'], ['accepted by eddy', 'accepted'], ['refused by eddy', 'refused'],
    ['in mid-write at a SIGKILL', 'uncertain'], ['delivered', 'delivered'], ['duplicates', 'duplicates'],
    ['lost', 'lost'], ['out of order per sensor', 'outOfOrder'], ['of unknown origin', 'unknown'],
  ];
  console.log(`${''.padEnd(28)}${'stream records'.padStart(15)}${'queue events'.padStart(15)}`);
  for (const [label, name] of lines) {
    const order = name === 'outOfOrder' ? 'no promise' : queue[name];
    console.log(`${label.padEnd(28)}${String(stream[name]).padStart(15)}${String(order).padStart(15)}`);
  }
  const sum = (name) => stream[name] + queue[name];
  console.log(`captured ${sum('captured')} accepted ${sum('accepted')} delivered ${sum('delivered')} ` +
    `duplicates ${sum('duplicates')} lost ${sum('lost')} out-of-order ${sum('outOfOrder')}`);
  process.exitCode = sum('lost') + sum('outOfOrder') + sum('unknown') === 0 && sum('delivered') > 0 ? 0 : 1;
}

main(process.argv.slice(2));
