// The front's way to its emulator: one exchange at a time on connections that stay open.
'use strict';

const http = require('node:http');
const { mustCall } = require('./client.js');

class Upstream {
  constructor(url) {
    this.url = new URL(url);
    this.agent = new http.Agent({ keepAlive: true });
  }

  // Resolves to {status, headers, body}. The emulator does not look at the signature, which no longer
  // fits when `body` is not what the client sent; it wants to see that there is one.
  ask({ headers }, body) {
    return new Promise((resolve, reject) => {
      const kept = ['content-type', 'x-amz-target', 'x-amz-date', 'authorization'].filter((name) => headers[name]);
      const request = http.request(this.url, {
        method: 'POST',
        agent: this.agent,
        headers: { ...Object.fromEntries(kept.map((name) => [name, headers[name]])), 'content-length': body.length },
      }, async (response) => {
        const passed = Object.entries(response.headers).filter(([name]) => /^(content-type|x-amzn?-.*)$/.test(name));
        const answered = await readAll(response);
        if (answered === null) reject(new Error('the emulator broke off its answer'));
        else resolve({ status: response.statusCode, headers: Object.fromEntries(passed), body: answered });
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  // None for a stream that does not exist; the emulator will say so to the client itself.
  async listShards(StreamName) {
    try {
      return (await mustCall(this.url, 'kinesis', 'ListShards', { StreamName }, { agent: this.agent })).Shards;
    } catch {
      return [];
    }
  }
}

// All bytes of a message, or null when its sender broke it off.
async function readAll(stream) {
  const chunks = [];
  try {
    for await (const chunk of stream) chunks.push(chunk);
  } catch {
    return null;
  }
  return stream.complete ? Buffer.concat(chunks) : null;
}

module.exports = { Upstream, readAll };
