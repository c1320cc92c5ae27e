// What peers.test.js needs to run a set, to look at its processes, and to see how a connection ends.
'use strict';

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const WAIT_MS_MAX = 5000; // for what must come, on a machine that is busy

// Starts a set of its own in `where` and resolves to {peers, child, exited}. It ends with this process
// at the latest, even if a test forgets it.
function start(where, ...flags) {
  const child = spawn(process.execPath, [path.join(__dirname, 'start.js'), '--dir', where, '--stdin', ...flags],
    { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.on('exit', resolve));
  return new Promise((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`start.js ended with ${code}`)));
    child.stdout.on('data', (text) => {
      assert.strictEqual(text.toString(), 'ready\n');
      resolve({ peers: JSON.parse(fs.readFileSync(path.join(where, 'peers.json'))), child, exited });
    });
  });
}

async function waitUntil(isSo, what = 'that') {
  const limit = performance.now() + WAIT_MS_MAX;
  while (!await isSo()) {
    assert.ok(performance.now() < limit, `waited in vain for ${what}`);
    await sleep(5);
  }
}

function pidsOf({ pid, ...peers }) {
  return [pid, ...Object.values(peers.kinesis.pids), ...Object.values(peers.sqs.pids)];
}

// A zombie has ended; whether its new parent has noticed is not our matter.
function runs(pid) {
  try {
    return !/\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

// Sends bytes on a connection of its own and tells what came back and how it ended: "end" (FIN),
// "reset" (RST) or "open" (neither, and nothing for a while).
//
// It reads single bytes, because node calls a reset an orderly end when it arrives together with
// bytes that do not fill the reader's buffer.
function exchange(endpoint, bytes, { patience = WAIT_MS_MAX } = {}) {
  return new Promise((resolve, reject) => {
    const read = [];
    const buffer = Buffer.alloc(1);
    const socket = net.connect({
      port: new URL(endpoint).port, host: '127.0.0.1', allowHalfOpen: true,
      onread: { buffer, callback: () => read.push(buffer[0]) },
    });
    const done = (ending) => {
      resolve({ bytes: Buffer.from(read), ending });
      socket.destroy();
    };
    socket.setTimeout(patience, () => done('open'));
    socket.on('end', () => done('end'));
    socket.on('error', (error) => (error.code === 'ECONNRESET' ? done('reset') : reject(error)));
    socket.write(bytes);
  });
}

module.exports = { exchange, pidsOf, runs, start, waitUntil };
