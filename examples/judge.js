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
// Order violations, losses and strangers are shown per key (sensor), the worst
// first. Exit code 0 only if nothing is lost, out of order or of unknown origin.
'use strict';

const fs = require('node:fs');
const { accountFiles, parseRows } = require('./account.js');

const KEYS_SHOWN_MAX = 10;
const FAULTS = ['outOfOrder', 'lost', 'unknown'];

// Map from "sensor run" to {captured, accepted, refused}.
function readAccount(directory, kind) {
  return new Map(accountFiles(directory, kind).flatMap(
    ({ run, file }) => parseRows(fs.readFileSync(file)).map((row) => [`${row.sensor} ${run}`, row])));
}

// [{sensor, run, n}] of read-back lines, in the service's order, a shard after the other.
function parseArrivals(text) {
  return text.split('\n').filter(Boolean).map((line) => {
    const { key, dataBase64, bodyBase64 } = JSON.parse(line);
    const record = JSON.parse(Buffer.from(dataBase64 ?? bodyBase64, 'base64'));
    if (key !== undefined && key !== record.sensor) throw new Error(`the record of ${record.sensor} came under the key ${key}`);
    return record;
  });
}

// The totals of one service. `isOrdered`: it promises the order of each sensor's
// records. `perKey` maps each sensor that has any of FAULTS to their counts.
function judge(account, arrivals, { isOrdered }) {
  const seen = new Map(); // "sensor run" -> set of n
  const last = new Map(); // sensor -> the latest record that arrived
  const perKey = new Map();
  const result = { captured: 0, accepted: 0, refused: 0, uncertain: 0, delivered: 0, duplicates: 0, lost: 0, outOfOrder: 0, unknown: 0, perKey };
  const blame = (sensor, fault) => {
    if (!perKey.has(sensor)) perKey.set(sensor, { outOfOrder: 0, lost: 0, unknown: 0 });
    ++perKey.get(sensor)[fault];
    ++result[fault];
  };
  for (const { sensor, run, n } of arrivals) {
    const name = `${sensor} ${run}`;
    const row = account.get(name);
    if (!row || !(n >= 1 && n <= row.captured - row.refused)) {
      blame(sensor, 'unknown');
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
    const isLate = before && (run < before.run || (run === before.run && n < before.n));
    if (!isLate) last.set(sensor, { run, n });
    else if (isOrdered) blame(sensor, 'outOfOrder');
  }
  for (const [name, { sensor, captured, accepted, refused }] of account) {
    const numbers = seen.get(name) ?? new Set();
    result.captured += captured;
    result.accepted += accepted;
    result.refused += refused;
    for (let n = 1; n <= accepted; ++n) if (!numbers.has(n)) blame(sensor, 'lost');
    // The SIGKILL came between the two counts: accepted if it arrived.
    if (captured > accepted + refused) {
      ++result.uncertain;
      result.accepted += numbers.has(accepted + 1);
    }
  }
  return result;
}

// The table's lines, the worst keys, and the account's closing line.
function report(stream, queue) {
  const lines = [['captured', 'captured'], ['accepted by eddy', 'accepted'], ['refused by eddy', 'refused'],
    ['in mid-write at a SIGKILL', 'uncertain'], ['delivered', 'delivered'], ['duplicates', 'duplicates'],
    ['lost', 'lost'], ['out of order', 'outOfOrder'], ['of unknown origin', 'unknown']]
    .map(([label, name]) => [label, stream[name], name === 'outOfOrder' ? 'no promise' : queue[name]]);
  const text = [['', 'stream records', 'queue events'], ...lines]
    .map(([label, a, b]) => `${label.padEnd(28)}${String(a).padStart(15)}${String(b).padStart(15)}`);

  const worst = [stream, queue].flatMap(({ perKey }, i) => [...perKey].map(
    ([sensor, faults]) => ({ sensor, faults, of: ['stream', 'queue'][i], sum: FAULTS.reduce((sum, fault) => sum + faults[fault], 0) })))
    .sort((a, b) => b.sum - a.sum);
  text.push(`violations per key: ${worst.length === 0 ? 'none' : `${worst.length} keys, the worst:`}`);
  for (const { sensor, faults, of } of worst.slice(0, KEYS_SHOWN_MAX)) {
    text.push(`  ${of} ${sensor}: out of order ${faults.outOfOrder}, lost ${faults.lost}, of unknown origin ${faults.unknown}`);
  }

  const sum = (name) => stream[name] + queue[name];
  text.push(`captured ${sum('captured')} accepted ${sum('accepted')} delivered ${sum('delivered')} ` +
    `duplicates ${sum('duplicates')} lost ${sum('lost')} out-of-order ${sum('outOfOrder')}`);
  const isGood = sum('lost') + sum('outOfOrder') + sum('unknown') === 0 && sum('delivered') > 0;
  return { text: text.join('\n'), isGood };
}

function main([directory, streamFile, queueFile]) {
  const read = (kind, file, isOrdered) => judge(
    readAccount(directory, kind), parseArrivals(fs.readFileSync(file, 'utf8')), { isOrdered });
  const { text, isGood } = report(read('stream', streamFile, true), read('queue', queueFile, false));
  console.log(text);
  process.exitCode = isGood ? 0 : 1;
}

module.exports = { judge, parseArrivals, report };
if (require.main === module) main(process.argv.slice(2));
