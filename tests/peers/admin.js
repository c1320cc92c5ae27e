// Makes streams and queues, straight in the emulators, past the fronts and their counters.
//   node admin.js DIR/peers.json create-stream NAME SHARDS
//   node admin.js DIR/peers.json create-queue NAME [ATTRIBUTE=VALUE ...]     prints the queue's URL
// A FIFO queue's name ends in .fifo. Returns when the thing can be used.
'use strict';

const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { mustCall } = require('./client.js');

const COMMANDS = {
  'create-stream': async (peers, name, shards) => {
    const kinesis = (operation, input) => mustCall(peers.kinesis.emulator, 'kinesis', operation, input);
    await kinesis('CreateStream', { StreamName: name, ShardCount: Number(shards) });
    for (;;) {
      const { StreamDescriptionSummary } = await kinesis('DescribeStreamSummary', { StreamName: name });
      if (StreamDescriptionSummary.StreamStatus === 'ACTIVE') return;
      await sleep(5);
    }
  },
  'create-queue': async (peers, name, ...attributes) => {
    const Attributes = Object.fromEntries(attributes.map((text) => text.split(/=(.*)/s, 2)));
    const { QueueUrl } = await mustCall(peers.sqs.emulator, 'sqs', 'CreateQueue', { QueueName: name, Attributes });
    console.log(QueueUrl);
  },
};

async function main([peersFile, command, ...args]) {
  if (!(command in COMMANDS) || args.length === 0) throw new Error('usage: see the head of admin.js');
  await COMMANDS[command](JSON.parse(fs.readFileSync(peersFile)), ...args);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
