// The judge finds what it is there to find, and nothing else.
'use strict';

const { execFileSync, spawnSync } = require('node:child_process');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { judge, parseArrivals, report } = require('./judge.js');

// account({'cpu 1': [captured, accepted, refused]}); refused may be left out.
const account = (rows) => new Map(Object.entries(rows).map(([name, [captured, accepted, refused = 0]]) =>
  [name, { sensor: name.split(' ')[0], captured, accepted, refused }]));
// arrivals('cpu 1 1', ...): sensor, run, n.
const arrivals = (...names) => names.map((name) => {
  const [sensor, run, n] = name.split(' ');
  return { sensor, run: Number(run), n: Number(n) };
});
const stream = (rows, ...names) => judge(account(rows), arrivals(...names), { isOrdered: true });
const queue = (rows, ...names) => judge(account(rows), arrivals(...names), { isOrdered: false });
const counts = ({ delivered, duplicates, lost, outOfOrder, unknown }) => ({ delivered, duplicates, lost, outOfOrder, unknown });
const clean = { duplicates: 0, lost: 0, outOfOrder: 0, unknown: 0 };

test('a clean run of two sensors over two runs has no violation', () => {
  const result = stream({ 'cpu 1': [2, 2], 'cpu 2': [1, 1], 'mem 1': [1, 1] }, 'cpu 1 1', 'mem 1 1', 'cpu 1 2', 'cpu 2 1');
  assert.deepEqual(counts(result), { ...clean, delivered: 4 });
  assert.equal(result.captured, 4);
  assert.equal(result.accepted, 4);
  assert.equal(result.perKey.size, 0);
  const { text, isGood } = report(result, queue({}));
  assert.ok(isGood);
  assert.match(text, /^violations per key: none$/m);
  assert.equal(text.split('\n').at(-1), 'captured 4 accepted 4 delivered 4 duplicates 0 lost 0 out-of-order 0');
});

test('an accepted record that did not arrive is lost, and its key is named', () => {
  const result = stream({ 'cpu 1': [3, 3], 'mem 1': [1, 1] }, 'cpu 1 1', 'cpu 1 3', 'mem 1 1');
  assert.deepEqual(counts(result), { ...clean, delivered: 3, lost: 1 });
  const { text, isGood } = report(result, queue({}));
  assert.ok(!isGood);
  assert.match(text, /^ {2}stream cpu: out of order 0, lost 1, of unknown origin 0$/m);
});

test('a sensor of which nothing arrived has lost all', () => {
  assert.deepEqual(counts(stream({ 'cpu 1': [5, 5] })), { ...clean, delivered: 0, lost: 5 });
});

test('a record that came after a later one of its sensor is out of order', () => {
  const result = stream({ 'cpu 1': [3, 3] }, 'cpu 1 1', 'cpu 1 3', 'cpu 1 2');
  assert.deepEqual(counts(result), { ...clean, delivered: 3, outOfOrder: 1 });
  const { text, isGood } = report(result, queue({}));
  assert.ok(!isGood);
  assert.match(text, /^ {2}stream cpu: out of order 1, lost 0, of unknown origin 0$/m);
});

test('a record of an earlier run after one of a later run is out of order', () => {
  assert.equal(stream({ 'cpu 1': [2, 2], 'cpu 2': [1, 1] }, 'cpu 1 1', 'cpu 2 1', 'cpu 1 2').outOfOrder, 1);
});

test('the order of different sensors is free', () => {
  assert.equal(stream({ 'cpu 1': [1, 1], 'mem 2': [1, 1] }, 'mem 2 1', 'cpu 1 1').outOfOrder, 0);
});

test('a queue promises no order', () => {
  const result = queue({ 'cpu 1': [3, 3] }, 'cpu 1 3', 'cpu 1 1', 'cpu 1 2');
  assert.deepEqual(counts(result), { ...clean, delivered: 3 });
  assert.equal(result.perKey.size, 0);
});

test('a record that came twice is a duplicate, each time counted, and no violation of order', () => {
  const result = stream({ 'cpu 1': [2, 2] }, 'cpu 1 1', 'cpu 1 2', 'cpu 1 1', 'cpu 1 2', 'cpu 1 2');
  assert.deepEqual(counts(result), { ...clean, delivered: 2, duplicates: 3 });
  assert.ok(report(result, queue({})).isGood);
});

test('a record that nobody captured is of unknown origin', () => {
  for (const stranger of ['cpu 1 2', 'cpu 1 0', 'cpu 2 1', 'mem 1 1']) {
    const result = stream({ 'cpu 1': [1, 1] }, 'cpu 1 1', stranger);
    assert.deepEqual(counts(result), { ...clean, delivered: 1, unknown: 1 }, stranger);
    assert.ok(!report(result, queue({})).isGood);
  }
});

test('a refused reading is captured, not accepted and not lost', () => {
  const result = stream({ 'cpu 1': [3, 2, 1] }, 'cpu 1 1', 'cpu 1 2');
  assert.deepEqual(counts(result), { ...clean, delivered: 2 });
  assert.equal(result.captured, 3);
  assert.equal(result.accepted, 2);
});

test('what was in mid-write at a SIGKILL may have arrived or not', () => {
  const arrived = stream({ 'cpu 1': [2, 1] }, 'cpu 1 1', 'cpu 1 2');
  assert.equal(arrived.uncertain, 1);
  assert.equal(arrived.accepted, 2);
  assert.deepEqual(counts(arrived), { ...clean, delivered: 2 });
  const gone = stream({ 'cpu 1': [2, 1] }, 'cpu 1 1');
  assert.equal(gone.accepted, 1);
  assert.deepEqual(counts(gone), { ...clean, delivered: 1 });
});

test('the worst keys come first, and no more than ten are shown', () => {
  const rows = {};
  for (let i = 0; i < 20; ++i) rows[`s${i} 1`] = [i + 1, i + 1];
  const shown = report(stream(rows), queue({})).text.split('\n').filter((line) => line.startsWith('  stream'));
  assert.equal(shown.length, 10);
  assert.match(shown[0], /^ {2}stream s19: out of order 0, lost 20,/);
});

test('a run in which nothing was delivered proves nothing', () => {
  assert.ok(!report(stream({}), queue({})).isGood);
});

test('a record under the key of another sensor is refused', () => {
  const dataBase64 = Buffer.from('{"sensor":"cpu","run":1,"n":1}').toString('base64');
  assert.equal(parseArrivals(`${JSON.stringify({ key: 'cpu', dataBase64 })}\n`).length, 1);
  assert.throws(() => parseArrivals(JSON.stringify({ key: 'mem', dataBase64 })), /came under the key mem/);
});

test('the program reads the account and the lines from files, and its exit code is the verdict', (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'eddy-judge-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const file = (name, content) => {
    fs.writeFileSync(path.join(directory, name), content);
    return path.join(directory, name);
  };
  fs.mkdirSync(path.join(directory, 'account'));
  const row = Buffer.alloc(4096);
  row.write('cpu');
  new BigUint64Array(row.buffer, row.byteOffset + 56, 3).set([2n, 2n, 0n]);
  file('account/run-000001.stream', row);
  file('account/run-000001.queue', Buffer.alloc(4096));
  const line = (n) => JSON.stringify({ key: 'cpu', dataBase64: Buffer.from(`{"sensor":"cpu","run":1,"n":${n}}`).toString('base64') });
  const whole = file('whole', `${line(1)}\n${line(2)}\n`);
  const short = file('short', `${line(2)}\n`);
  const none = file('none', '');
  const judgeFiles = (...files) => [path.join(__dirname, 'judge.js'), path.join(directory, 'account'), ...files];

  const output = execFileSync(process.execPath, judgeFiles(whole, none), { encoding: 'utf8' });
  assert.equal(output.trimEnd().split('\n').at(-1), 'captured 2 accepted 2 delivered 2 duplicates 0 lost 0 out-of-order 0');
  const lost = spawnSync(process.execPath, judgeFiles(short, none), { encoding: 'utf8' });
  assert.equal(lost.status, 1);
  assert.match(lost.stdout, /lost 1 out-of-order 0\n$/);
});
