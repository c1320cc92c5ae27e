// Proves the peers themselves against the running set: a fault that does not happen, or a verifier
// that lets everything pass, would make every test of the forwarder worthless.
//   node --test peers.test.js
//
// Real sockets and a real clock. A fixed wait, PATIENCE_MS, stands only where the fact to show is
// that nothing comes; everything else is waited for.
'use strict';

const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { after, afterEach, before, test: timelessTest } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const tls = require('node:tls');
const { call, control, mustCall } = require('./client.js');
const { exchange, pidsOf, runs, start, waitUntil } = require('./harness.js');
const { CREDENTIALS, REGION } = require('./identity.js');
const { sha256, sign } = require('./sigv4.js');

const PATIENCE_MS = 250;
const TEST_MS_MAX = 30_000;
const MINUTE = 60_000;

// A connection that never ends must fail its test, not stop the others.
function test(name, body) {
  timelessTest(name, { timeout: TEST_MS_MAX }, body);
}

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'eddy-peers-'));
let set; // {peers, child, exited}
let kinesis; // shorthand for set.peers.kinesis
let sqs;
let names = 0;

before(async () => {
  set = await start(path.join(dir, 'plain'));
  ({ kinesis, sqs } = set.peers);
});

afterEach(async () => {
  for (const { frontControl, chaosControl } of [kinesis, sqs]) {
    for (const url of [frontControl, chaosControl]) await control(url, [{ action: 'restore' }, { action: 'forget' }]);
  }
});

after(async () => {
  execFileSync(path.join(__dirname, 'stop.sh'), [path.join(dir, 'plain')]);
  assert.ok(!pidsOf(set.peers).some(runs), 'stop.sh returns when all are gone');
  fs.rmSync(dir, { recursive: true, force: true });
});

// The verifier.

test('a well-signed call reaches the service and is logged without secrets', async () => {
  for (const credentials of CREDENTIALS) {
    await mustCall(kinesis.endpoint, 'kinesis', 'ListStreams', {}, { credentials });
    await mustCall(sqs.endpoint, 'sqs', 'ListQueues', {}, { credentials });
  }
  for (const [service, operation] of [[kinesis, 'ListStreams'], [sqs, 'ListQueues']]) {
    const report = await control(service.frontControl);
    const { calls, verified, forwarded, statuses } = report.counters[operation];
    assert.deepStrictEqual({ calls, verified, forwarded, statuses }, { calls: 3, verified: 3, forwarded: 3, statuses: { 200: 3 } });
    assert.deepStrictEqual(report.log.map(({ keyId }) => keyId), CREDENTIALS.map(({ keyId }) => keyId));
    for (const { secret, token } of CREDENTIALS) {
      assert.ok(!JSON.stringify(report).includes(secret) && !JSON.stringify(report).includes(token ?? secret));
    }
  }
});

test('a call with a wrong secret, key, token or service is refused and never reaches the service', async () => {
  const [longTerm, temporary] = CREDENTIALS;
  const bad = [
    [{ ...longTerm, secret: 'wrong' }, 'InvalidSignatureException'],
    [{ ...longTerm, keyId: 'AKIDNOBODY' }, 'UnrecognizedClientException'],
    [{ ...temporary, token: 'another' }, 'UnrecognizedClientException'],
  ];
  for (const [credentials, code] of bad) {
    const { status, output } = await call(kinesis.endpoint, 'kinesis', 'ListStreams', {}, { credentials });
    assert.deepStrictEqual([status, output.__type], [400, code]);
  }
  const foreign = await call(sqs.endpoint, 'kinesis', 'ListStreams', {});
  assert.match(foreign.output.message, /correct service: 'sqs'/);
  const changed = await call(kinesis.endpoint, 'kinesis', 'ListStreams', {}, { changed: { 'X-Amz-Target': 'Kinesis_20131202.DeleteStream' } });
  assert.match(changed.output.message, /Canonical String for this request should have been\n'POST\n\/\n/);

  const { counters, log } = await control(kinesis.frontControl);
  assert.strictEqual(counters.ListStreams.refused, 3);
  assert.strictEqual(counters.DeleteStream.refused, 1);
  assert.ok(log.every(({ verdict, forwarded }) => verdict === 'refused' && !forwarded));
});

test('a token that has run out is refused until the client takes another', async () => {
  await control(kinesis.frontControl, { set: { expiredKeys: [CREDENTIALS[1].keyId] } });
  const { output } = await call(kinesis.endpoint, 'kinesis', 'ListStreams', {}, { credentials: CREDENTIALS[1] });
  assert.strictEqual(output.__type, 'ExpiredTokenException');
  await mustCall(kinesis.endpoint, 'kinesis', 'ListStreams', {}, { credentials: CREDENTIALS[2] });
});

test('a clock more than five minutes off is refused as the service refuses it', async () => {
  const at = (offset) => call(kinesis.endpoint, 'kinesis', 'ListStreams', {}, { now: Date.now() + offset });
  for (const offset of [-4 * MINUTE, 4 * MINUTE]) assert.strictEqual((await at(offset)).status, 200);
  const [slow, fast] = [await at(-6 * MINUTE), await at(6 * MINUTE)];
  assert.deepStrictEqual([slow.output.__type, fast.output.__type], Array(2).fill('InvalidSignatureException'));
  assert.match(slow.output.message, /^Signature expired: \w+ is now earlier than \w+ \(\w+ - 5 min\.\)$/);
  assert.match(fast.output.message, /^Signature not yet current: \w+ is still later than \w+ \(\w+ \+ 5 min\.\)$/);
});

test('a front with a skewed clock tells its time in Date, and a client that follows it passes', async () => {
  await control(sqs.frontControl, { set: { skewSeconds: 600 } });
  const first = await call(sqs.endpoint, 'sqs', 'ListQueues', {});
  assert.match(first.output.message, /^Signature expired/);
  const offset = Date.parse(first.headers.date) - Date.now();
  assert.ok(Math.abs(offset - 10 * MINUTE) < 5000, `offset ${offset}`);
  assert.strictEqual((await call(sqs.endpoint, 'sqs', 'ListQueues', {}, { now: Date.now() + offset })).status, 200);
});

// The limits.

test('Kinesis limits are kept to the byte', async () => {
  const StreamName = await newStream(1);
  const put = async (records) => (await call(kinesis.endpoint, 'kinesis', 'PutRecords', { StreamName, Records: records }));
  const record = (bytes, PartitionKey = 'k') => ({ Data: Buffer.alloc(bytes, 'x').toString('base64'), PartitionKey });
  const MIB = 1 << 20;
  const fits = [Array(500).fill(record(1)), [record(MIB - 1)], Array(5).fill(record(MIB - 1)), [record(1, 'k'.repeat(256))]];
  for (const records of fits) assert.strictEqual((await put(records)).output.FailedRecordCount, 0);
  const refused = [
    [Array(501).fill(record(1)), 'ValidationException'],
    [[record(MIB)], 'ValidationException'],
    [[...Array(5).fill(record(MIB - 1)), record(0)], 'InvalidArgumentException'],
    [[record(1, 'k'.repeat(257))], 'ValidationException'],
    [[record(1, '')], 'ValidationException'],
    [[{ ...record(1), ExplicitHashKey: `${1n << 128n}` }], 'InvalidArgumentException'],
    [[{ ...record(1), Data: 'eA' }], 'SerializationException'],
  ];
  for (const [records, code] of refused) {
    const { status, output } = await put(records);
    assert.deepStrictEqual([status, output.__type], [400, code]);
  }
  const { verified, invalid, forwarded } = (await control(kinesis.frontControl)).counters.PutRecords;
  assert.deepStrictEqual({ verified, invalid, forwarded }, { verified: 11, invalid: 7, forwarded: 4 });
});

test('SQS limits fail the batch or the entry, as the service does', async () => {
  const QueueUrl = await newQueue();
  const send = (Entries) => call(sqs.endpoint, 'sqs', 'SendMessageBatch', { QueueUrl, Entries });
  const entry = (i, more = {}) => ({ Id: `e${i}`, MessageBody: 'x', ...more });
  const entries = (count, more) => [...Array(count).keys()].map((i) => entry(i, more));
  const refused = [
    [[], 'EmptyBatchRequest'],
    [entries(11), 'TooManyEntriesInBatchRequest'],
    [[entry(1), entry(1)], 'BatchEntryIdsNotDistinct'],
    [[{ Id: 'a b', MessageBody: 'x' }], 'InvalidBatchEntryId'],
    [entries(2, { MessageBody: 'x'.repeat((1 << 19) + 1) }), 'BatchRequestTooLong'],
  ];
  for (const [batch, code] of refused) {
    const { status, output, headers } = await send(batch);
    assert.deepStrictEqual([status, output.__type], [400, `com.amazonaws.sqs#${code}`]);
    assert.strictEqual(headers['x-amzn-query-error'], `AWS.SimpleQueueService.${code};Sender`);
  }
  assert.strictEqual((await send(entries(2, { MessageBody: 'x'.repeat(1 << 19) }))).output.Successful.length, 2);
  const mixed = await send([entry(0), entry(1, { MessageBody: '\u0001' }), entry(2, { DelaySeconds: 901 })]);
  assert.deepStrictEqual(ids(mixed.output), { ok: ['e0'], failed: ['e1', 'e2'] });
  assert.ok(mixed.output.Failed.every(({ SenderFault }) => SenderFault));
});

// Ordered faults.

test('error: answered as ordered, not applied, once', async () => {
  const StreamName = await newStream(1);
  await control(kinesis.frontControl, [
    { op: 'PutRecords', action: 'error', code: 'InternalFailure' },
    { op: 'PutRecords', action: 'error', status: 503, body: '<html>busy</html>', headers: { 'Retry-After': '1' } },
  ]);
  const first = await putRecords(StreamName, 1);
  assert.deepStrictEqual([first.status, first.output.__type], [500, 'InternalFailure']);
  const second = await putRecords(StreamName, 1);
  assert.deepStrictEqual([second.status, second.output, second.headers['retry-after']], [503, '<html>busy</html>', '1']);
  assert.strictEqual((await putRecords(StreamName, 1)).status, 200);
  assert.strictEqual(readBack('stream', StreamName).length, 1);
});

test('after and times: the second and third matching call fail', async () => {
  await control(kinesis.frontControl, { op: 'ListStreams', after: 1, times: 2, action: 'error', code: 'LimitExceededException' });
  const statuses = [];
  for (let i = 0; i < 4; ++i) statuses.push((await call(kinesis.endpoint, 'kinesis', 'ListStreams', {})).status);
  assert.deepStrictEqual(statuses, [200, 400, 400, 200]);
});

test('delayMs: the answer comes late', async () => {
  await control(kinesis.frontControl, { delayMs: 200 });
  const began = performance.now();
  await mustCall(kinesis.endpoint, 'kinesis', 'ListStreams', {});
  assert.ok(performance.now() - began >= 195);
});

test('reset: the client sees RST and nothing was applied', async () => {
  const StreamName = await newStream(1);
  await control(kinesis.frontControl, { op: 'PutRecords', action: 'reset' });
  const { bytes, ending } = await exchange(kinesis.endpoint, signedPut(StreamName));
  assert.deepStrictEqual([bytes.length, ending], [0, 'reset']);
  assert.strictEqual(readBack('stream', StreamName).length, 0);
});

test('drop-response: the client sees RST and the records are there', async () => {
  const StreamName = await newStream(1);
  await control(kinesis.frontControl, { op: 'PutRecords', action: 'drop-response' });
  await assert.rejects(putRecords(StreamName, 3), { code: 'ECONNRESET' });
  assert.strictEqual(readBack('stream', StreamName).length, 3);
  await putRecords(StreamName, 3);
  assert.strictEqual(readBack('stream', StreamName).length, 6, 'the retry makes the duplicates that eddy has to count with');
  const { log } = await control(kinesis.frontControl);
  assert.deepStrictEqual(log.map(({ fault, forwarded }) => [fault, forwarded]), [['drop-response', true], [undefined, true]]);
});

test('hang: nothing comes and nothing is applied, unless it is ordered so', async () => {
  const StreamName = await newStream(1);
  for (const [applied, count] of [[false, 0], [true, 1]]) {
    await control(kinesis.frontControl, [{ action: 'forget' }, { op: 'PutRecords', action: 'hang', applied }]);
    const { bytes, ending } = await exchange(kinesis.endpoint, signedPut(StreamName), { patience: PATIENCE_MS });
    assert.deepStrictEqual([bytes.length, ending], [0, 'open']);
    await waitUntil(async () => (await control(kinesis.frontControl)).counters.PutRecords?.faults === 1);
    assert.strictEqual(readBack('stream', StreamName).length, count);
  }
});

test('hang: restore resets those who still wait', async () => {
  await control(kinesis.frontControl, { action: 'hang' });
  const hung = exchange(kinesis.endpoint, signedPut('any'));
  await waitUntil(async () => (await control(kinesis.frontControl)).calls === 1);
  await control(kinesis.frontControl, { action: 'restore' });
  assert.strictEqual((await hung).ending, 'reset');
});

test('truncate: whole headers, half a body', async () => {
  const StreamName = await newStream(1);
  await control(kinesis.frontControl, { op: 'PutRecords', action: 'truncate' });
  const { bytes, ending } = await exchange(kinesis.endpoint, signedPut(StreamName));
  const [head, body] = bytes.toString().split('\r\n\r\n');
  assert.strictEqual(ending, 'end');
  assert.strictEqual(body.length, Number(/Content-Length: (\d+)/.exec(head)[1]) >> 1);
  assert.strictEqual(readBack('stream', StreamName).length, 1);
});

test('truncate-status: the answer breaks off in its first line', async () => {
  await control(kinesis.frontControl, [{ action: 'truncate-status' }, { action: 'truncate-status', bytes: 5 }]);
  const first = await exchange(kinesis.endpoint, signedPut('any'));
  assert.deepStrictEqual([first.bytes.toString(), first.ending], ['HTTP/1.1 400', 'end']);
  assert.strictEqual((await exchange(kinesis.endpoint, signedPut('any'))).bytes.toString(), 'HTTP/');
});

test('trickle: the whole answer, slowly', async () => {
  await control(kinesis.frontControl, { action: 'trickle', bytes: 50, everyMs: 20 });
  const began = performance.now();
  await mustCall(kinesis.endpoint, 'kinesis', 'ListStreams', {});
  assert.ok(performance.now() - began >= 80);
});

test('partial: Kinesis keeps the places of failed records, and only the others arrive', async () => {
  const StreamName = await newStream(2);
  await control(kinesis.frontControl, { op: 'PutRecords', partial: [0, 3], code: 'InternalFailure' });
  const { output } = await putRecords(StreamName, 5);
  assert.strictEqual(output.FailedRecordCount, 2);
  assert.deepStrictEqual(output.Records.map((r) => r.ErrorCode), ['InternalFailure', undefined, undefined, 'InternalFailure', undefined]);
  const arrived = new Map(readBack('stream', StreamName).map((line) => [line.sequence, line]));
  assert.strictEqual(arrived.size, 3);
  for (const i of [1, 2, 4]) {
    const { SequenceNumber, ShardId } = output.Records[i];
    assert.deepStrictEqual(arrived.get(SequenceNumber),
      { shard: ShardId, sequence: SequenceNumber, key: `key-${i}`, dataBase64: base64(`record ${i}`) });
  }
});

test('partial: when every record fails the answer is still 200 and nothing is forwarded', async () => {
  const StreamName = await newStream(1);
  await control(kinesis.frontControl, { op: 'PutRecords', partial: [0, 1] });
  const { status, output } = await putRecords(StreamName, 2);
  assert.deepStrictEqual([status, output.FailedRecordCount], [200, 2]);
  assert.strictEqual((await control(kinesis.frontControl)).counters.PutRecords.forwarded, 0);
});

test('partial: SQS tells failed entries by Id, with the fault on the side that is ordered', async () => {
  const QueueUrl = await newQueue();
  const Entries = ['a', 'b', 'c', 'd'].map((Id) => ({ Id, MessageBody: `body ${Id}` }));
  const send = () => mustCall(sqs.endpoint, 'sqs', 'SendMessageBatch', { QueueUrl, Entries });
  await control(sqs.frontControl, [
    { op: 'SendMessageBatch', partial: [1, 2] },
    { op: 'SendMessageBatch', partial: [0, 1, 2], senderFault: true, code: 'InvalidParameterValue', message: 'no' },
  ]);
  const first = await send();
  assert.deepStrictEqual(ids(first), { ok: ['a', 'd'], failed: ['b', 'c'] });
  assert.deepStrictEqual(first.Failed[0], { Id: 'b', SenderFault: false, Code: 'InternalError', Message: 'Ordered by a rule.' });
  const second = await send();
  assert.deepStrictEqual(second.Failed[2], { Id: 'c', SenderFault: true, Code: 'InvalidParameterValue', Message: 'no' });
  const bodies = readBack('queue', nameOf(QueueUrl)).map(({ bodyBase64 }) => Buffer.from(bodyBase64, 'base64').toString());
  assert.deepStrictEqual(bodies.sort(), ['body a', 'body d', 'body d']);
});

test('partialFraction: the same seed fails the same records', async () => {
  const failed = async () => {
    await control(kinesis.frontControl, [{ action: 'restore' }, { partialFraction: 0.3, seed: 7, times: 'always' }]);
    const answers = [await putRecords(StreamName, 200), await putRecords(StreamName, 200)];
    return answers.map(({ output }) => output.Records.map((r, i) => (r.ErrorCode ? i : -1)).filter((i) => i >= 0));
  };
  const StreamName = await newStream(1);
  const [first, second] = await failed();
  assert.ok(first.length > 30 && first.length < 90, `${first.length} of 200`);
  assert.notDeepStrictEqual(first, second);
  assert.deepStrictEqual(await failed(), [first, second]);
});

test('a rule, a setting or an order that means nothing is refused', async () => {
  const wrong = [
    [kinesis.frontControl, { op: 'PutRecords', action: 'explode' }],
    [kinesis.frontControl, { op: 'PutRecords', partail: [1] }],
    [kinesis.frontControl, { op: 'ListStreams', partial: [1] }],
    [kinesis.frontControl, { set: { skew: 3 } }],
    [kinesis.chaosControl, { action: 'melt' }],
    [kinesis.chaosControl, { action: 'rst', direction: 'both' }],
  ];
  for (const [url, order] of wrong) await assert.rejects(control(url, order), /400/);
});

test('throttle: a shard takes one second worth of records, its neighbour is not touched', async () => {
  const StreamName = await newStream(2);
  await control(kinesis.frontControl, { set: { throttle: { recordsPerSecond: 100 } } });
  const put = (count, ExplicitHashKey) => mustCall(kinesis.endpoint, 'kinesis', 'PutRecords', {
    StreamName, Records: Array(count).fill({ Data: 'eA==', PartitionKey: 'k', ExplicitHashKey }) });
  const full = await put(300, '0');
  // The bucket fills again while the call runs, at one record in 10 ms.
  assert.ok(full.FailedRecordCount > 150 && full.FailedRecordCount <= 200, `${full.FailedRecordCount} failed`);
  const { ErrorCode, ErrorMessage } = full.Records[299];
  assert.strictEqual(ErrorCode, 'ProvisionedThroughputExceededException');
  assert.match(ErrorMessage, /^Rate exceeded for shard shardId-000000000000 in stream /);
  assert.strictEqual((await put(100, `${1n << 127n}`)).FailedRecordCount, 0);
  assert.strictEqual(readBack('stream', StreamName).length, 400 - full.FailedRecordCount);
});

test('throttle: a shard takes one second worth of bytes', async () => {
  const StreamName = await newStream(1);
  await control(kinesis.frontControl, { set: { throttle: true } });
  const Data = Buffer.alloc(400 << 10).toString('base64');
  const { output } = await call(kinesis.endpoint, 'kinesis', 'PutRecords', {
    StreamName, Records: Array(4).fill({ Data, PartitionKey: 'k' }) });
  assert.deepStrictEqual(output.Records.map((r) => r.ErrorCode !== undefined), [false, false, true, true]);
});

test('record: what the service took is listed by its digest', async () => {
  const [StreamName, QueueUrl] = [await newStream(1), await newQueue()];
  for (const { frontControl } of [kinesis, sqs]) await control(frontControl, { set: { record: true } });
  await control(kinesis.frontControl, { op: 'PutRecords', partial: [0] });
  const { output } = await putRecords(StreamName, 2);
  await mustCall(sqs.endpoint, 'sqs', 'SendMessage', { QueueUrl, MessageBody: 'hello' });
  const [ofKinesis, ofSqs] = [await control(`${kinesis.frontControl}/records`), await control(`${sqs.frontControl}/records`)];
  assert.deepStrictEqual(ofKinesis.records, [{
    call: 1, op: 'PutRecords', to: StreamName, key: 'key-1', shard: 'shardId-000000000000',
    id: output.Records[1].SequenceNumber, bytes: 8, sha256: sha256('record 1') }]);
  assert.strictEqual(ofSqs.records[0].sha256, '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824');
});

// The chaos proxy.

test('chaos rst, fin, half-close and stall act after exactly so many bytes of the answer', async () => {
  for (const [action, ending] of [['rst', 'reset'], ['fin', 'end'], ['half-close', 'end'], ['stall', 'open']]) {
    await control(kinesis.chaosControl, { action, after: 20 });
    const patience = ending === 'open' ? PATIENCE_MS : undefined;
    const { bytes, ending: seen } = await exchange(kinesis.endpoint, signedPut('any'), { patience });
    assert.deepStrictEqual([bytes.length, seen], [20, ending], action);
    await control(kinesis.chaosControl, { action: 'restore' });
  }
});

test('chaos half-close leaves the other direction open, fin does not', async () => {
  for (const [action, calls] of [['half-close', 2], ['fin', 1]]) {
    await control(kinesis.frontControl, { action: 'forget' });
    await control(kinesis.chaosControl, { action, after: 20 });
    const { port } = new URL(kinesis.endpoint);
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => {});
    socket.write(signedPut('any'));
    socket.resume();
    await once(socket, 'end');
    socket.write(signedPut('any'));
    if (calls === 2) await waitUntil(async () => (await control(kinesis.frontControl)).calls === 2);
    else await sleep(PATIENCE_MS);
    assert.strictEqual((await control(kinesis.frontControl)).calls, calls, action);
    socket.destroy();
  }
});

test('chaos acts on the request too: a client cut in its body has called nothing', async () => {
  for (const action of ['rst', 'fin', 'half-close']) {
    await control(kinesis.frontControl, { action: 'forget' });
    await control(kinesis.chaosControl, { action, direction: 'up', after: 300 });
    const { bytes } = await exchange(kinesis.endpoint, signedPut('any'));
    assert.strictEqual(bytes.length, 0, action);
    assert.strictEqual((await control(kinesis.frontControl)).calls, 0, action);
  }
  assert.strictEqual((await call(kinesis.endpoint, 'kinesis', 'ListStreams', {})).status, 200);
});

test('chaos stall holds back and restore lets flow', async () => {
  await control(kinesis.chaosControl, { action: 'stall', after: 10 });
  const answer = call(kinesis.endpoint, 'kinesis', 'ListStreams', {});
  assert.strictEqual(await Promise.race([answer, sleep(PATIENCE_MS, 'nothing')]), 'nothing');
  await control(kinesis.chaosControl, { action: 'restore' });
  assert.strictEqual((await answer).status, 200);
});

test('chaos times: so many connections, then no more', async () => {
  await control(kinesis.chaosControl, { action: 'rst', times: 2 });
  const seen = [];
  for (let i = 0; i < 3; ++i) {
    seen.push(await call(kinesis.endpoint, 'kinesis', 'ListStreams', {}, { agent: false }).then(({ status }) => status, ({ code }) => code));
  }
  assert.deepStrictEqual(seen, ['ECONNRESET', 'ECONNRESET', 200]);
});

test('chaos delay and trickle slow an answer down', async () => {
  const timed = async () => {
    const began = performance.now();
    await mustCall(kinesis.endpoint, 'kinesis', 'ListStreams', {}, { agent: false });
    return performance.now() - began;
  };
  await control(kinesis.chaosControl, { action: 'delay', ms: 100, direction: 'both' });
  assert.ok(await timed() >= 195);
  const { slowed, slowedMs } = await control(kinesis.chaosControl);
  assert.ok(slowed >= 2 && slowedMs >= 100 * slowed, `${slowed} lots, ${slowedMs} ms`);
  await control(kinesis.chaosControl, [{ action: 'restore' }, { action: 'trickle', bytes: 50, everyMs: 20 }]);
  assert.ok(await timed() >= 80);
});

test('chaos refuse closes the door and restore opens the same one', async () => {
  await control(kinesis.chaosControl, { action: 'refuse' });
  await assert.rejects(call(kinesis.endpoint, 'kinesis', 'ListStreams', {}, { agent: false }), { code: 'ECONNREFUSED' });
  await control(kinesis.chaosControl, { action: 'restore' });
  assert.strictEqual((await call(kinesis.endpoint, 'kinesis', 'ListStreams', {}, { agent: false })).status, 200);
});

test('chaos blackhole swallows a call in both directions, and later delivers it', async () => {
  await control(kinesis.chaosControl, { action: 'blackhole' });
  const answer = call(kinesis.endpoint, 'kinesis', 'ListStreams', {}, { agent: false });
  assert.strictEqual(await Promise.race([answer, sleep(PATIENCE_MS, 'nothing')]), 'nothing');
  assert.strictEqual((await control(kinesis.frontControl)).calls, 0);
  await control(kinesis.chaosControl, { action: 'restore' });
  assert.strictEqual((await answer).status, 200);
});

test('chaos cut resets every open connection, idle ones too', async () => {
  const agent = new http.Agent({ keepAlive: true });
  await mustCall(kinesis.endpoint, 'kinesis', 'ListStreams', {}, { agent });
  const hung = exchange(kinesis.endpoint, Buffer.from('POST / HTTP/1.1\r\n'));
  await waitUntil(async () => (await control(kinesis.chaosControl)).open >= 2);
  await control(kinesis.chaosControl, { action: 'cut' });
  assert.strictEqual((await hung).ending, 'reset');
  assert.ok((await control(kinesis.chaosControl)).cut >= 2);
  await waitUntil(async () => (await control(kinesis.chaosControl)).open === 0);
  agent.destroy();
});

test('the emulators survive a client that leaves within its request', async () => {
  for (const [service, operation, { emulator }] of [['kinesis', 'ListStreams', kinesis], ['sqs', 'ListQueues', sqs]]) {
    for (const leave of ['resetAndDestroy', 'end', 'destroy']) {
      const socket = net.connect(new URL(emulator).port, '127.0.0.1');
      socket.on('error', () => {});
      const half = signedPut('any', emulator).subarray(0, -5);
      await new Promise((resolve) => socket.write(half, resolve));
      socket.resume();
      socket[leave]();
      await once(socket, 'close');
      await mustCall(emulator, service, operation, {});
    }
  }
});

// The tools and the life of the set.

test('readback gives every record of a stream of many shards, in order within each', async () => {
  const StreamName = await newStream(4);
  for (let i = 0; i < 3; ++i) await putRecords(StreamName, 500);
  const lines = readBack('stream', StreamName);
  assert.strictEqual(lines.length, 1500);
  assert.strictEqual(new Set(lines.map(({ shard }) => shard)).size, 4);
  for (let i = 1; i < lines.length; ++i) {
    assert.ok(lines[i - 1].shard !== lines[i].shard || BigInt(lines[i - 1].sequence) < BigInt(lines[i].sequence));
  }
});

test('readback empties a FIFO queue in order', async () => {
  const QueueUrl = await newQueue('.fifo', 'ContentBasedDeduplication=true');
  for (let i = 0; i < 12; ++i) {
    await mustCall(sqs.endpoint, 'sqs', 'SendMessage', { QueueUrl, MessageBody: `${i}`, MessageGroupId: 'g' });
  }
  const bodies = readBack('queue', nameOf(QueueUrl)).map(({ bodyBase64 }) => Buffer.from(bodyBase64, 'base64').toString());
  assert.deepStrictEqual(bodies, [...Array(12).keys()].map(String));
  assert.deepStrictEqual(readBack('queue', nameOf(QueueUrl)), []);
});

test('TLS: the CA is needed, bad certificates are refused, a reset is a reset, and no set runs without a part', async () => {
  const secure = await start(path.join(dir, 'tls'), '--tls');
  const { endpoint, frontControl } = secure.peers.kinesis;
  const ca = fs.readFileSync(secure.peers.ca);
  const list = (options = {}) => call(endpoint, 'kinesis', 'ListStreams', {}, { ca, agent: false, ...options });

  assert.strictEqual((await list()).status, 200);
  await assert.rejects(list({ ca: [] }), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  const bad = { 'expired': 'CERT_HAS_EXPIRED', 'not-yet': 'CERT_NOT_YET_VALID', 'wrong-name': 'ERR_TLS_CERT_ALTNAME_INVALID' };
  for (const [certificate, code] of Object.entries(bad)) {
    await control(frontControl, { set: { certificate } });
    await assert.rejects(list(), { code });
  }
  await control(frontControl, { action: 'restore' });
  assert.strictEqual((await list()).status, 200);

  // The first answer also takes away what TLS itself has to say, see exchange() in harness.js.
  const socket = tls.connect({ host: '127.0.0.1', port: new URL(endpoint).port, ca });
  socket.write(signedPut('any', endpoint));
  await once(socket, 'data');
  await control(frontControl, { action: 'reset' });
  socket.write(signedPut('any', endpoint));
  await assert.rejects(once(socket, 'end'), { code: 'ECONNRESET' });

  await control(frontControl, { action: 'truncate-status' });
  await assert.rejects(list(), { code: 'ECONNRESET' });

  process.kill(secure.peers.sqs.pids.front, 'SIGKILL');
  assert.strictEqual(await secure.exited, 1);
  await waitUntil(() => !pidsOf(secure.peers).some(runs), 'the end of all after the death of one');
  assert.ok(!fs.existsSync(path.join(dir, 'tls/peers.json')));
});

test('no child outlives the set when it is killed, or when its standard input ends', async () => {
  const [first, second] = [await start(path.join(dir, 'killed')), await start(path.join(dir, 'deserted'))];
  first.child.kill('SIGKILL');
  second.child.stdin.end();
  await waitUntil(() => ![...pidsOf(first.peers), ...pidsOf(second.peers)].some(runs), 'the end of all');
});

// Helpers.

function tool(program, ...args) {
  return execFileSync(process.execPath, [path.join(__dirname, program), path.join(dir, 'plain/peers.json'), ...args],
    { encoding: 'utf8', maxBuffer: 64 << 20 });
}

function readBack(kind, name) {
  return tool('readback.js', kind, name).split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

async function newStream(shards) {
  const name = `stream-${++names}`;
  tool('admin.js', 'create-stream', name, `${shards}`);
  return name;
}

async function newQueue(suffix = '', ...attributes) {
  return tool('admin.js', 'create-queue', `queue-${++names}${suffix}`, ...attributes).trim();
}

function nameOf(queueUrl) {
  return queueUrl.slice(queueUrl.lastIndexOf('/') + 1);
}

function putRecords(StreamName, count) {
  const Records = [...Array(count).keys()].map((i) => ({ Data: base64(`record ${i}`), PartitionKey: `key-${i}` }));
  return call(kinesis.endpoint, 'kinesis', 'PutRecords', { StreamName, Records });
}

function ids({ Successful, Failed }) {
  return { ok: Successful.map(({ Id }) => Id), failed: Failed.map(({ Id }) => Id) };
}

function base64(text) {
  return Buffer.from(text).toString('base64');
}

// The bytes of a good PutRecords of one record.
function signedPut(StreamName, endpoint = kinesis.endpoint) {
  const body = JSON.stringify({ StreamName, Records: [{ Data: 'eA==', PartitionKey: 'k' }] });
  const headers = sign({
    method: 'POST', url: '/', body,
    headers: { 'Host': new URL(endpoint).host, 'Content-Type': 'application/x-amz-json-1.1', 'X-Amz-Target': 'Kinesis_20131202.PutRecords' },
  }, CREDENTIALS[0], { region: REGION, service: 'kinesis' });
  const lines = Object.entries({ ...headers, 'Content-Length': body.length }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`POST / HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
}
