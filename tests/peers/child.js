// What every program started by start.js has in common: it tells its ports in one line of JSON on
// stdout when it is ready, and with --stdin it ends when its standard input does. The parent holds
// the other end of that pipe, so however the parent dies, even by SIGKILL, the kernel closes it and
// no child is left behind.
'use strict';

function announce(ports) {
  process.stdout.write(`${JSON.stringify(ports)}\n`);
}

function endWithParent() {
  if (!process.argv.includes('--stdin')) return;
  process.stdin.on('close', () => process.exit(0));
  process.stdin.on('error', () => process.exit(0));
  process.stdin.resume();
}

// Starts `server` on loopback and tells the port that it got.
function listen(server, port = 0) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.removeListener('error', reject);
      resolve(server.address().port);
    });
  });
}

module.exports = { announce, endWithParent, listen };
