// Prints what really arrived, read straight from the emulators, past the fronts: the judge of every
// forwarder test. One JSON object a line.
//   node readback.js DIR/peers.json stream NAME    {shard, sequence, key, dataBase64}: all shards,
//                                                  closed ones too, from the horizon to the end
//   node readback.js DIR/peers.json queue NAME     {id, bodyBase64, attributes?, group?}: receives
//                                                  and deletes until the queue gives nothing more
// Messages that are delayed or in flight with somebody else are not seen; if there are any, a line
// on stderr says so and the exit code is 2.
'use strict';

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const { mustCall } = require('./client.js');

const RECORDS_A_CALL = 500; // kinesalite knows no limit of bytes, and records can have 1 MiB

const agent = new http.Agent({ keepAlive: true });

async function readStream(peers, StreamName) {
  const kinesis = (operation, input) => mustCall(peers.kinesis.emulator, 'kinesis', operation, input, { agent });
  const { Shards } = await kinesis('ListShards', { StreamName });
  for (const { ShardId } of Shards) {
    let { ShardIterator } = await kinesis('GetShardIterator', { StreamName, ShardId, ShardIteratorType: 'TRIM_HORIZON' });
    while (ShardIterator) {
      const page = await kinesis('GetRecords', { ShardIterator, Limit: RECORDS_A_CALL });
      for (const { SequenceNumber, PartitionKey, Data } of page.Records) {
        await print({ shard: ShardId, sequence: SequenceNumber, key: PartitionKey, dataBase64: Data });
      }
      if (page.Records.length === 0 && !page.MillisBehindLatest) break;
      ShardIterator = page.NextShardIterator;
    }
  }
}

async function readQueue(peers, QueueName) {
  const sqs = (operation, input) => mustCall(peers.sqs.emulator, 'sqs', operation, input, { agent });
  const { QueueUrl } = await sqs('GetQueueUrl', { QueueName });
  for (;;) {
    const { Messages = [] } = await sqs('ReceiveMessage', {
      QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 300, WaitTimeSeconds: 0,
      MessageAttributeNames: ['All'], MessageSystemAttributeNames: ['All'] });
    if (Messages.length === 0) break;
    for (const { MessageId, Body, MessageAttributes, Attributes } of Messages) {
      const bodyBase64 = Buffer.from(Body).toString('base64');
      await print({ id: MessageId, bodyBase64, attributes: MessageAttributes, group: Attributes?.MessageGroupId });
    }
    await sqs('DeleteMessageBatch', {
      QueueUrl, Entries: Messages.map(({ ReceiptHandle }, i) => ({ Id: `${i}`, ReceiptHandle })) });
  }
  const { Attributes } = await sqs('GetQueueAttributes', { QueueUrl, AttributeNames: ['All'] });
  const { ApproximateNumberOfMessagesNotVisible: inFlight, ApproximateNumberOfMessagesDelayed: delayed } = Attributes;
  if (inFlight !== '0' || delayed !== '0') {
    console.error(`queue ${QueueName}: ${inFlight} messages in flight and ${delayed} delayed were not read`);
    process.exitCode = 2;
  }
}

async function print(line) {
  if (!process.stdout.write(`${JSON.stringify(line)}\n`)) await once(process.stdout, 'drain');
}

async function main([peersFile, kind, name]) {
  const read = { stream: readStream, queue: readQueue }[kind];
  if (!read || !name) throw new Error('usage: see the head of readback.js');
  await read(JSON.parse(fs.readFileSync(peersFile)), name);
  agent.destroy();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
