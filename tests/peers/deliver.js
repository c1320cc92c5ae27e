// Hands an answer to the client, well or in one of the ways that networks and servers spoil it.
'use strict';

const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');

// `answer` is {status, headers, body}; `fault` a rule of rules.js or null; `resetClient` sends RST.
async function deliver(response, answer, fault, resetClient) {
  if (!response.socket) return undefined; // the client did not wait
  switch (fault?.action) {
    case 'reset':
    case 'drop-response': return resetClient();
    case 'hang': return undefined; // until the client loses patience
    case 'truncate': {
      const { head, body } = onTheWire(answer);
      return sendOnly(response.socket, Buffer.concat([head, body.subarray(0, fault.bytes ?? body.length >> 1)]));
    }
    case 'truncate-status': {
      const { head, body } = onTheWire(answer);
      return sendOnly(response.socket, Buffer.concat([head, body]).subarray(0, fault.bytes ?? 12));
    }
    case 'trickle': {
      const { head, body } = onTheWire(answer);
      return trickle(response.socket, Buffer.concat([head, body]), fault.bytes ?? 1, fault.everyMs ?? 10);
    }
    default: {
      response.writeHead(answer.status, answer.headers);
      return response.end(answer.body);
    }
  }
}

// The bytes of the answer, for those who send not all of them or not at once. The connection ends
// with it, since node's parser knows nothing of what we write behind its back.
function onTheWire({ status, headers, body }) {
  const lines = Object.entries({ ...headers, 'Connection': 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
  return { head: Buffer.from(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n${lines.join('')}\r\n`), body };
}

function sendOnly(socket, bytes) {
  socket.end(bytes);
}

async function trickle(socket, bytes, step, everyMs) {
  socket.setNoDelay(true);
  for (let at = 0; at < bytes.length && !socket.destroyed; at += step) {
    socket.write(bytes.subarray(at, at + step));
    await sleep(everyMs);
  }
  socket.end();
}

module.exports = { deliver };
