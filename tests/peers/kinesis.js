// Runs kinesalite, an emulator of Kinesis Data Streams, in memory on a free loopback port.
//   node kinesis.js [--stdin]
//
// What it does not do (rates, signatures, clock) the front does. Streams appear and go at once.
'use strict';

const { announce, endWithParent, listen } = require('./child.js');
const { ACCOUNT, REGION } = require('./identity.js');

// kinesalite reads these when it is made.
process.env.AWS_ACCOUNT_ID = ACCOUNT;
process.env.AWS_REGION = REGION;
const kinesalite = require('kinesalite');

// It throws from its event handlers when a client goes away within a request; the service it stands
// for does not fall over, so neither may it. Any other exception is a bug worth dying for.
process.on('uncaughtException', (error) => {
  if (['ECONNRESET', 'EPIPE'].includes(error.code) || /aborted/.test(error.message)) return;
  console.error(error);
  process.exit(1);
});

const server = kinesalite({ createStreamMs: 0, deleteStreamMs: 0, updateStreamMs: 0, shardLimit: 1000 });
server.on('clientError', (_, socket) => socket.destroy());
// The front keeps connections open, and one that closes just as it is used again would look like a
// fault that nobody ordered.
server.keepAliveTimeout = 0;

endWithParent();
listen(server).then((port) => announce({ port }));
