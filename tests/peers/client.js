// A client of our own for the emulators and the fronts: JSON over node:http(s), signed by sigv4.js.
'use strict';

const http = require('node:http');
const https = require('node:https');
const { CREDENTIALS, REGION } = require('./identity.js');
const { SERVICES } = require('./services.js');
const { sign } = require('./sigv4.js');

// Calls one operation and resolves to {status, headers, output}. Rejects only when no whole answer
// came. `options`: credentials, now (ms, for a wrong clock), ca (PEM), agent, changed (headers set
// after signing).
function call(endpoint, service, operation, input, options = {}) {
  const { credentials = CREDENTIALS[0], now = Date.now(), ca, agent, changed = {} } = options;
  const url = new URL(endpoint);
  const body = Buffer.from(JSON.stringify(input));
  const { target, contentType } = SERVICES[service];
  const headers = sign({
    method: 'POST', url: '/', body,
    headers: { 'Host': url.host, 'Content-Type': contentType, 'X-Amz-Target': `${target}.${operation}` },
  }, credentials, { region: REGION, service, now });
  const all = { ...headers, 'Content-Length': body.length, ...changed };
  return send(url, { method: 'POST', ca, agent, headers: all }, body);
}

// The same, but resolves to the output itself and rejects on any error that the service tells.
async function mustCall(...args) {
  const { status, output } = await call(...args);
  if (status !== 200) throw new Error(`${args[2]}: ${status} ${JSON.stringify(output)}`);
  return output;
}

// GET, or POST when there is something to send, of a control URL.
async function control(url, order) {
  const body = order === undefined ? undefined : Buffer.from(JSON.stringify(order));
  const { status, output } = await send(new URL(url), { method: body ? 'POST' : 'GET' }, body);
  if (status !== 200) throw new Error(`${url}: ${status} ${JSON.stringify(output)}`);
  return output;
}

function send(url, options, body) {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(url, options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode, headers: response.headers, output: parsed(Buffer.concat(chunks)) });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

// Proxies and overloaded servers do not always answer in JSON.
function parsed(bytes) {
  try {
    return JSON.parse(bytes);
  } catch {
    return bytes.toString();
  }
}

module.exports = { call, mustCall, control };
