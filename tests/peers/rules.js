// The faults that a test has ordered, in order; the first that matches a call is used up by it.
//
// Rule:  op         operation, or "*" (default)
//        after      let that many matching calls pass first (default 0)
//        times      how often, or "always" (default 1)
//        delayMs    wait before anything else; the call is applied after the wait even if the
//                   client has gone by then
//        action     pass           answer as usual (default)
//                   error          answer code, message, status, headers; body replaces the JSON
//                   reset          TCP RST instead of an answer
//                   hang           no answer, connection left open
//                   drop-response  applied, then RST: the client cannot know
//                   truncate       status and headers, then only `bytes` of the body (default half)
//                   truncate-status  only the first `bytes` of the answer (default 12)
//                   trickle        `bytes` (default 1) of the answer every `everyMs` (default 10)
//        applied    with error, reset, hang: true applies the call nevertheless
//        partial          indices of the parts of a batch call that fail; the others are applied
//        partialFraction  or: each part fails with this probability, drawn from `seed` (default 1)
//        code, message, senderFault   what the failed parts say
'use strict';

const http = require('node:http');
const { isBatch } = require('./batch.js');

// Whether the call reaches the service.
const APPLIED = {
  'pass': true, 'error': false, 'reset': false, 'hang': false,
  'drop-response': true, 'truncate': true, 'truncate-status': true, 'trickle': true,
};

const FIELDS = new Set([
  'op', 'after', 'times', 'delayMs', 'action', 'applied', 'code', 'message', 'status', 'headers', 'body',
  'bytes', 'everyMs', 'partial', 'partialFraction', 'seed', 'senderFault',
]);

class Rules {
  constructor() {
    this.clear();
  }

  clear() {
    this.rules = [];
  }

  // Throws on anything it does not know: a rule that silently does nothing makes a test that
  // proves nothing.
  add(given) {
    const unknown = Object.keys(given).find((field) => !FIELDS.has(field));
    if (unknown) throw new Error(`no such field in a rule: ${unknown}`);
    const rule = { op: '*', after: 0, times: 1, delayMs: 0, action: 'pass', ...given };
    if (!(rule.action in APPLIED)) throw new Error(`no such action: ${rule.action}`);
    if (rule.times !== 'always' && !(Number.isInteger(rule.times) && rule.times > 0)) {
      throw new Error(`times must be "always" or a positive number: ${rule.times}`);
    }
    if (rule.action === 'error' && !rule.code && !rule.status) throw new Error('an error needs a code or a status');
    if (rule.status !== undefined && !(rule.status in http.STATUS_CODES)) {
      throw new Error(`no such status: ${rule.status}`);
    }
    for (const [name, value] of Object.entries(rule.headers ?? {})) http.validateHeaderValue(name, value);
    if (aboutParts(rule) && rule.op !== '*' && !isBatch(rule.op)) throw new Error(`${rule.op} has no parts to fail`);
    rule.applied ??= APPLIED[rule.action];
    rule.random = randomFrom(rule.seed ?? 1);
    this.rules.push(rule);
  }

  // The rule for this call, or null. A rule about parts matches only calls that have some.
  take(operation) {
    for (const rule of this.rules) {
      if (rule.op !== '*' && rule.op !== operation) continue;
      if (aboutParts(rule) && !isBatch(operation)) continue;
      if (rule.after > 0) {
        --rule.after;
        continue;
      }
      if (rule.times !== 'always' && --rule.times === 0) this.rules.splice(this.rules.indexOf(rule), 1);
      return rule;
    }
    return null;
  }

  list() {
    return this.rules.map(({ random, ...rule }) => rule);
  }
}

function aboutParts({ partial, partialFraction }) {
  return partial !== undefined || partialFraction !== undefined;
}

// What the log calls it.
function nameOf(rule) {
  if (rule.action !== 'pass') return rule.action;
  return aboutParts(rule) ? 'partial' : 'delay';
}

// Which of `count` parts the rule fails.
function chosenParts({ partial, partialFraction = 0, random }, count) {
  return [...Array(count).keys()].filter((i) => (partial ? partial.includes(i) : random() < partialFraction));
}

// Mulberry32: small, and the same on every machine for the same seed.
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

module.exports = { Rules, chosenParts, nameOf };
