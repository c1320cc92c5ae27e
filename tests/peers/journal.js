// What a front has seen: totals for each operation, a log of the last calls, and, when asked, one
// line for each record that the service took.
//
// Nothing secret: no Authorization header, no token, no body. A record shows as its key, its size
// and the SHA-256 of its bytes, enough to count duplicates and losses.
'use strict';

const { parts } = require('./batch.js');
const { sha256 } = require('./sigv4.js');

const LOG_MAX = 1000; // the oldest go
const RECORDS_MAX = 500_000; // then `recordsLost` counts

class Journal {
  constructor() {
    this.forget();
  }

  forget() {
    this.calls = 0;
    this.connections = 0;
    this.aborted = 0; // requests whose client left before their end
    this.counters = {};
    this.log = [];
    this.records = [];
    this.recordsLost = 0;
  }

  // The entry of a new call; the front fills it in and hands it to end().
  begin(op) {
    const at = new Date().toISOString();
    return { call: ++this.calls, at, op, verdict: 'verified', forwarded: false, parts: 0, failed: 0 };
  }

  end(entry) {
    const counter = this.counters[entry.op] ??= {
      calls: 0, verified: 0, refused: 0, invalid: 0, faults: 0, forwarded: 0, parts: 0, failed: 0, statuses: {} };
    counter.calls += 1;
    counter.verified += entry.verdict !== 'refused';
    counter.refused += entry.verdict === 'refused';
    counter.invalid += entry.verdict === 'invalid';
    counter.faults += entry.fault !== undefined;
    counter.forwarded += entry.forwarded;
    counter.parts += entry.parts;
    counter.failed += entry.failed;
    if (entry.status) counter.statuses[entry.status] = (counter.statuses[entry.status] ?? 0) + 1;
    this.log.push(entry);
    if (this.log.length > LOG_MAX) this.log.shift();
  }

  // Notes what the service took of a call that it answered with 200.
  noteTaken(call, operation, input, output) {
    for (const taken of takenParts(operation, input, output)) {
      if (this.records.length < RECORDS_MAX) this.records.push({ call, op: operation, ...taken });
      else ++this.recordsLost;
    }
  }

  report() {
    const { calls, connections, aborted, counters, log, recordsLost } = this;
    return { calls, connections, aborted, counters, log, recordsTaken: this.records.length, recordsLost };
  }
}

function takenParts(operation, input, output) {
  switch (operation) {
    case 'PutRecord': return [record(input, input, output)];
    case 'PutRecords':
      return input.Records.map((part, i) => record(input, part, output.Records[i])).filter(({ id }) => id);
    case 'SendMessage': return [message(input, input, output)];
    case 'SendMessageBatch': {
      const entries = new Map(parts(operation, input).map((entry) => [entry.Id, entry]));
      return output.Successful.map((answer) => message(input, entries.get(answer.Id), answer));
    }
    default: return [];
  }
}

function record({ StreamName, StreamARN }, { PartitionKey, Data }, { SequenceNumber, ShardId }) {
  const bytes = Buffer.from(Data, 'base64');
  const to = StreamName ?? StreamARN;
  return { to, key: PartitionKey, shard: ShardId, id: SequenceNumber, bytes: bytes.length, sha256: sha256(bytes) };
}

function message({ QueueUrl }, { MessageBody, MessageGroupId }, { MessageId }) {
  const bytes = Buffer.from(MessageBody);
  const to = QueueUrl.slice(QueueUrl.lastIndexOf('/') + 1);
  return { to, key: MessageGroupId, id: MessageId, bytes: bytes.length, sha256: sha256(bytes) };
}

module.exports = { Journal };
