// The plain HTTP port by which a test gives orders to a front or a chaos proxy.
//
// GET reads, POST takes one order or a list of them in JSON. A wrong order gets 400 and a reason;
// of a list, the orders before it have then been obeyed.
'use strict';

const http = require('node:http');

// `read(path)` returns what to show, or undefined for 404; `obey(order)` may return an answer, may
// be async, and throws on an order that it does not understand.
function serveControl({ read, obey }) {
  return http.createServer(async (request, response) => {
    const reply = (status, value) => {
      const body = Buffer.from(`${JSON.stringify(value)}\n`);
      response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': body.length });
      response.end(body);
    };
    try {
      if (request.method === 'GET') {
        const found = read(request.url);
        return found === undefined ? reply(404, { error: `nothing at ${request.url}` }) : reply(200, found);
      }
      if (request.method !== 'POST') return reply(405, { error: 'GET or POST' });
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const orders = JSON.parse(Buffer.concat(chunks));
      for (const order of [orders].flat()) await obey(order);
      return reply(200, { ok: true });
    } catch (error) {
      return reply(400, { error: error.message });
    }
  });
}

module.exports = { serveControl };
