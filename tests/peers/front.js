// The strict front of a service: stands before an emulator and is what the emulator is not.
//   node front.js --service kinesis|sqs --upstream URL [--certificates DIR] [--stdin]
//
// A call goes through these steps, each of which may end it:
//   1  read whole      a client that leaves within its request has called nothing
//   2  verify          signature, clock, scope, key (verify.js)
//   3  check limits    what the service would refuse (limits.js)
//   4  rule            the fault that a test has ordered, if any (rules.js)
//   5  fail parts      by the rule, then by the shards' rates (throttle.js)
//   6  forward         what is left goes to the emulator, the answers are merged (batch.js)
//   7  deliver         the answer, or what the rule makes of it (deliver.js)
// Rules come after 2 and 3, so that no fault hides a bad request.
//
// Orders come on a second port, always plain HTTP, at /_front; README.md has their forms.
'use strict';

const crypto = require('node:crypto');
const http = require('node:http');
const https = require('node:https');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');
const batch = require('./batch.js');
const { readCertificate } = require('./certificates.js');
const { announce, endWithParent, listen } = require('./child.js');
const { serveControl } = require('./control.js');
const { deliver } = require('./deliver.js');
const { CREDENTIALS, REGION } = require('./identity.js');
const { Journal } = require('./journal.js');
const limits = require('./limits.js');
const { reset } = require('./reset.js');
const { Rules, chosenParts, nameOf } = require('./rules.js');
const { SERVICES, errorAnswer } = require('./services.js');
const { DEFAULT_RATE, Throttle } = require('./throttle.js');
const { Upstream, readAll } = require('./upstream.js');
const { verify } = require('./verify.js');

const BODY_BYTES_MAX = 16 << 20; // beyond it a bare 413; far above what any call may carry
const IDLE_MS_MAX = 60_000; // a test that pauses must not find its connection closed

const DEFAULT_SETTINGS = {
  skewSeconds: 0, // how much later than it is the front believes it is
  throttle: false, // true, or {bytesPerSecond, recordsPerSecond} of each shard
  record: false, // whether /_front/records fills
  expiredKeys: [], // key ids whose token has run out
  certificate: 'good', // with TLS: see certificates.js
  ...limits.DEFAULTS,
};

class Front {
  constructor({ service, upstream, certificates }) {
    this.service = service;
    this.certificates = certificates;
    this.upstream = new Upstream(upstream);

    this.settings = { ...DEFAULT_SETTINGS };
    this.rules = new Rules();
    this.journal = new Journal();
    this.throttle = new Throttle((stream) => this.upstream.listShards(stream));

    this.server = certificates
      ? https.createServer(readCertificate(certificates, 'good'), this.serve.bind(this))
      : http.createServer(this.serve.bind(this));
    this.server.keepAliveTimeout = IDLE_MS_MAX;
    this.server.on('clientError', (_, socket) => socket.destroy());

    // Only the TCP socket can be reset, and under TLS a request knows only the layer above it.
    this.sockets = new Map(); // client's port -> its TCP socket
    this.server.on('connection', (socket) => {
      const port = socket.remotePort;
      this.sockets.set(port, socket);
      socket.on('close', () => this.sockets.delete(port));
      ++this.journal.connections;
    });
    this.hanging = new Set(); // client's ports

    this.control = serveControl({ read: this.read.bind(this), obey: this.obey.bind(this) });
  }

  async serve(request, response) {
    const port = request.socket.remotePort;
    if (Number(request.headers['content-length']) > BODY_BYTES_MAX) {
      response.writeHead(413, { 'Connection': 'close' });
      response.end();
      return;
    }
    const body = await readAll(request);
    if (body === null) {
      ++this.journal.aborted;
      return;
    }
    const { method, url, rawHeaders } = request;
    const entry = this.journal.begin(this.operation(request));
    let outcome;
    try {
      outcome = await this.answer({ method, url, rawHeaders, body, headers: request.headers }, entry);
    } catch (error) {
      console.error(error);
      outcome = { answer: errorAnswer(this.service, { code: 'InternalFailure', message: `front: ${error.message}` }) };
    }
    const { answer, fault = null } = outcome;
    if (fault) entry.fault = nameOf(fault);
    if (answer) {
      entry.status = answer.status;
      answer.headers.Date = new Date(this.now()).toUTCString();
      answer.headers['Content-Length'] = answer.body.length;
      answer.headers['x-amzn-requestid'] ??= crypto.randomUUID();
    }
    this.journal.end(entry);
    if (fault?.action === 'hang') this.hanging.add(port);
    await deliver(response, answer, fault, () => this.reset(port));
  }

  reset(port) {
    const socket = this.sockets.get(port);
    if (socket) reset(socket); // or the client has left
  }

  // Steps 2 to 6. Resolves to {answer, fault}; answer is absent when the fault needs none.
  async answer(request, entry) {
    const refuse = (verdict, error) => {
      Object.assign(entry, { verdict, code: error.code });
      return { answer: errorAnswer(this.service, error) };
    };
    const { keyId, ...refusal } = this.verify(request);
    if (!keyId) return refuse('refused', refusal);
    entry.keyId = keyId;

    const operation = entry.op;
    const { input, error: unreadable } = this.parse(request, operation);
    if (unreadable) return refuse('invalid', unreadable);
    const { error, failures = new Map() } = limits.check(operation, input, this.settings);
    if (error) return refuse('invalid', error);

    const fault = this.rules.take(operation);
    if (fault?.delayMs) await sleep(fault.delayMs);
    if (batch.isBatch(operation)) {
      this.failByRule(operation, input, fault, failures);
      await this.failByRate(operation, input, failures);
      entry.parts = batch.parts(operation, input).length;
      entry.failed = failures.size;
    } else if (operation === 'PutRecord' && this.settings.throttle) {
      const [overRate] = (await this.throttle.refuse(streamOf(input), [input], this.rate())).values();
      if (overRate) return refuse('verified', overRate);
    }

    let answer;
    if (fault?.applied ?? true) answer = await this.forward(request, operation, input, failures, entry);
    if (fault?.action === 'error') answer = this.orderedError(fault);
    return { answer, fault };
  }

  verify(request) {
    const { service, settings: { expiredKeys } } = this;
    const verdict = verify(request, { service, region: REGION, credentials: CREDENTIALS, now: this.now() });
    if (!expiredKeys.includes(verdict.keyId)) return verdict;
    return { code: 'ExpiredTokenException', message: 'The security token included in the request is expired' };
  }

  now() {
    return Date.now() + this.settings.skewSeconds * 1000;
  }

  operation({ headers }) {
    const [target, operation = ''] = (headers['x-amz-target'] ?? '').split('.');
    return target === SERVICES[this.service].target && /^\w+$/.test(operation) ? operation : 'unknown';
  }

  // CBOR is not read: nothing here could be checked in it.
  parse({ method, headers, body }, operation) {
    const { contentType } = SERVICES[this.service];
    if (method !== 'POST' || operation === 'unknown' || headers['content-type'] !== contentType) {
      const message = `Only POST of ${contentType} to a known target is read.`;
      return { error: { code: 'UnknownOperationException', message } };
    }
    try {
      const input = JSON.parse(body);
      if (typeof input === 'object' && input !== null) return { input };
    } catch {
      // The same answer as for JSON that is no object.
    }
    return { error: { code: 'SerializationException' } };
  }

  failByRule(operation, input, fault, failures) {
    if (!fault) return;
    const { code = SERVICES[this.service].partFailure, message = 'Ordered by a rule.', senderFault = false } = fault;
    for (const i of chosenParts(fault, batch.parts(operation, input).length)) {
      if (!failures.has(i)) failures.set(i, { code, message, senderFault });
    }
  }

  async failByRate(operation, input, failures) {
    if (operation !== 'PutRecords' || !this.settings.throttle) return;
    // What the rule has failed does not reach the shards, so it costs them nothing.
    const left = [...input.Records.keys()].filter((i) => !failures.has(i));
    const refused = await this.throttle.refuse(streamOf(input), left.map((i) => input.Records[i]), this.rate());
    for (const [at, failure] of refused) failures.set(left[at], failure);
  }

  rate() {
    return { ...DEFAULT_RATE, ...this.settings.throttle };
  }

  async forward(request, operation, input, failures, entry) {
    if (failures.size > 0 && failures.size === entry.parts) {
      return jsonAnswer(this.service, batch.merge(operation, input, failures));
    }
    entry.forwarded = true;
    if (failures.size === 0) {
      const answer = await this.upstream.ask(request, request.body);
      if (answer.status === 200) this.record(entry, operation, input, answer);
      return answer;
    }
    const rest = Buffer.from(JSON.stringify(batch.without(operation, input, failures)));
    const answer = await this.upstream.ask(request, rest);
    if (answer.status !== 200) return answer;
    answer.body = Buffer.from(JSON.stringify(batch.merge(operation, input, failures, JSON.parse(answer.body))));
    this.record(entry, operation, input, answer);
    return answer;
  }

  record({ call }, operation, input, { body }) {
    if (this.settings.record) this.journal.noteTaken(call, operation, input, JSON.parse(body));
  }

  orderedError({ code, message, status, headers = {}, body }) {
    const answer = errorAnswer(this.service, { code: code ?? 'ServiceUnavailable', message, status });
    if (body !== undefined) {
      answer.body = Buffer.from(body);
      answer.headers = {}; // a page of someone in between, who knows nothing of the service's headers
    }
    Object.assign(answer.headers, headers);
    return answer;
  }

  read(url) {
    switch (url) {
      case '/_front': return { settings: this.settings, rules: this.rules.list(), ...this.journal.report() };
      case '/_front/records': return { records: this.journal.records, recordsLost: this.journal.recordsLost };
      default: return undefined;
    }
  }

  // {set: {...}} changes settings; {action: "restore"} drops rules and settings; {action: "forget"}
  // empties the journal; anything else is a rule.
  obey(order) {
    if (order.set) return this.set(order.set);
    switch (order.action) {
      case 'restore':
        this.rules.clear();
        for (const port of this.hanging) this.reset(port);
        this.hanging.clear();
        return this.set(DEFAULT_SETTINGS);
      case 'forget': return this.journal.forget();
      default: return this.rules.add(order);
    }
  }

  set(changes) {
    const unknown = Object.keys(changes).find((name) => !(name in DEFAULT_SETTINGS));
    if (unknown) throw new Error(`no such setting: ${unknown}`);
    const { certificate = this.settings.certificate } = changes;
    if (this.certificates && certificate !== this.settings.certificate) {
      this.server.setSecureContext(readCertificate(this.certificates, certificate));
    }
    Object.assign(this.settings, changes);
  }
}

function streamOf({ StreamName, StreamARN = '' }) {
  return StreamName ?? StreamARN.slice(StreamARN.indexOf('/') + 1);
}

function jsonAnswer(service, output) {
  const headers = { 'Content-Type': SERVICES[service].contentType };
  return { status: 200, headers, body: Buffer.from(JSON.stringify(output)) };
}

async function main() {
  const { values } = parseArgs({ options: {
    service: { type: 'string' },
    upstream: { type: 'string' },
    certificates: { type: 'string' },
    stdin: { type: 'boolean' },
  } });
  endWithParent();
  const front = new Front(values);
  const [port, control] = await Promise.all([listen(front.server), listen(front.control)]);
  announce({ port, control });
}

main();
