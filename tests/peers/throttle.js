// The write limits of a shard, 1 MiB and 1,000 records a second, as two buckets of tokens.
//
// Both buckets hold what one second brings, so a burst of one second passes and a steady stream of
// the exact rate passes. A record goes to the shard whose range holds the MD5 of its key, or its
// explicit hash key. A record that the bucket cannot pay for fails alone; the ones after it still
// have their chance, as in the service.
'use strict';

const crypto = require('node:crypto');
const { recordBytes } = require('./limits.js');

const DEFAULT_RATE = { bytesPerSecond: 1 << 20, recordsPerSecond: 1000 };

// Shards change rarely, but tests reshard.
const SHARDS_KEPT_MS = 1000;

class Throttle {
  // listShards(stream) resolves to the Shards of a ListShards answer.
  constructor(listShards) {
    this.listShards = listShards;
    this.streams = new Map(); // name -> {shards, readAt}
    this.buckets = new Map(); // stream/shard -> {bytes, records, at}
  }

  // Which of `records` the shards cannot take now: Map from index to failure.
  async refuse(stream, records, rate) {
    const shards = await this.openShards(stream);
    const failures = new Map();
    for (const [i, record] of records.entries()) {
      const key = hashKey(record);
      const shard = shards.find(({ first, last }) => first <= key && key <= last);
      if (shard && !this.take(`${stream}/${shard.id}`, recordBytes(record), rate)) {
        failures.set(i, {
          code: 'ProvisionedThroughputExceededException',
          message: `Rate exceeded for shard ${shard.id} in stream ${stream} under account 000000000000.`,
        });
      }
    }
    return failures;
  }

  take(name, bytes, { bytesPerSecond, recordsPerSecond }) {
    const now = performance.now();
    const bucket = this.buckets.get(name) ?? { bytes: bytesPerSecond, records: recordsPerSecond, at: now };
    this.buckets.set(name, bucket);
    const seconds = (now - bucket.at) / 1000;
    bucket.bytes = Math.min(bytesPerSecond, bucket.bytes + seconds * bytesPerSecond);
    bucket.records = Math.min(recordsPerSecond, bucket.records + seconds * recordsPerSecond);
    bucket.at = now;
    // A full bucket pays for any record, or one above a rate set low by a test would never pass.
    if ((bucket.bytes < bytes && bucket.bytes < bytesPerSecond) || bucket.records < 1) return false;
    bucket.bytes -= bytes;
    bucket.records -= 1;
    return true;
  }

  async openShards(stream) {
    const kept = this.streams.get(stream);
    if (kept && performance.now() - kept.readAt < SHARDS_KEPT_MS) return kept.shards;
    const shards = (await this.listShards(stream))
      .filter((shard) => shard.SequenceNumberRange.EndingSequenceNumber == null)
      .map(({ ShardId, HashKeyRange }) => (
        { id: ShardId, first: BigInt(HashKeyRange.StartingHashKey), last: BigInt(HashKeyRange.EndingHashKey) }));
    this.streams.set(stream, { shards, readAt: performance.now() });
    return shards;
  }
}

function hashKey({ PartitionKey, ExplicitHashKey }) {
  if (ExplicitHashKey != null) return BigInt(ExplicitHashKey);
  return BigInt(`0x${crypto.createHash('md5').update(PartitionKey).digest('hex')}`);
}

module.exports = { DEFAULT_RATE, Throttle };
