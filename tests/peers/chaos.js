// A TCP proxy that does to connections what networks do to them.
//   node chaos.js --upstream PORT [--stdin]
//
// It knows nothing of HTTP or TLS: it passes bytes, in two directions, "up" from the client and
// "down" to it. Orders come on a second port at /_chaos. An order stays in force until "restore";
// those with `after` act once on a connection, and on `times` connections (default 1, or
// "always"). Of two delays or trickles the later counts.
//
//   delay        every byte waits `ms` (default 100)
//   trickle      `bytes` at a time (default 1), one lot every `everyMs` (default 10)
//   rst          after N bytes: TCP RST to both sides
//   fin          after N bytes: both sides see an orderly end
//   half-close   after N bytes: the receiving side sees the end; the other direction goes on
//   stall        after N bytes: nothing more in that direction until "restore"
//   refuse       no listener: new connections are refused
//   blackhole    connections open, and nothing passes in either direction until "restore"
//   cut          now: RST to every open connection
//   restore      as at the start; what was held back flows again
//   forget       counters to zero
//
// delay, trickle, stall, rst, fin, half-close take `direction`: "up" or "down" (default "down"), the
// first two also "both". `after: N` counts the bytes that pass on one connection since the order or
// the connection's beginning, whichever was later; exactly N bytes pass. With 0 the first byte is
// enough, and does not pass.
'use strict';

const net = require('node:net');
const { parseArgs } = require('node:util');
const { announce, endWithParent, listen } = require('./child.js');
const { serveControl } = require('./control.js');
const { Link } = require('./link.js');

// Outside the range from which the kernel takes ports for everybody else: after "refuse" nobody may
// take ours before "restore" wants it back.
const FIRST_PORT = 20_000;
const PORTS = 12_000;

// Orders that stay, with their fields and what these are if not given.
const LASTING = { 'delay': { ms: 100 }, 'trickle': { bytes: 1, everyMs: 10 } };
const ONCE = { after: 0, times: 1 };
const AFTER_BYTES = { 'rst': ONCE, 'fin': ONCE, 'half-close': ONCE, 'stall': ONCE };
const FIELDS = { ...LASTING, ...AFTER_BYTES };

class Chaos {
  constructor(upstream) {
    this.upstream = upstream;
    this.orders = []; // in force; those of AFTER_BYTES leave when used up
    this.refusing = false;
    this.blackhole = false;
    this.links = new Set();
    this.forget();
    this.server = net.createServer({ allowHalfOpen: true, noDelay: true });
    this.server.on('connection', (client) => this.links.add(new Link(this, client)));
  }

  async listen() {
    for (;;) {
      try {
        this.port = await listen(this.server, FIRST_PORT + Math.floor(Math.random() * PORTS));
        return this.port;
      } catch (error) {
        if (error.code !== 'EADDRINUSE') throw error;
      }
    }
  }

  forget() {
    // slowed: lots that passed while a delay or a trickle was in force; slowedMs: how long they had
    // been here by then, all together.
    this.counters = { connections: 0, bytesUp: 0, bytesDown: 0, fired: 0, cut: 0, slowed: 0, slowedMs: 0 };
  }

  read(url) {
    if (url !== '/_chaos') return undefined;
    const { orders, refusing, blackhole, counters, links } = this;
    return { orders, refusing, blackhole, open: links.size, ...counters };
  }

  async obey(order) {
    const { action, direction = 'down', ...fields } = order;
    const known = FIELDS[action] ?? {};
    const unknown = Object.keys(fields).find((field) => !(field in known));
    if (unknown) throw new Error(`no such field in ${action}: ${unknown}`);
    if (action in FIELDS) {
      const directions = action in LASTING ? ['up', 'down', 'both'] : ['up', 'down'];
      if (!directions.includes(direction)) throw new Error(`no such direction: ${direction}`);
      this.orders.push({ action, direction, ...known, ...fields });
      return;
    }
    switch (action) {
      case 'refuse':
        this.refusing = true;
        this.server.close();
        break;
      case 'blackhole':
        this.blackhole = true;
        break;
      case 'cut':
        this.counters.cut += this.links.size;
        for (const link of this.links) link.reset();
        break;
      case 'restore':
        this.orders = [];
        this.blackhole = false;
        for (const link of this.links) link.release();
        if (this.refusing) await listen(this.server, this.port);
        this.refusing = false;
        break;
      case 'forget':
        this.forget();
        break;
      default: throw new Error(`no such action: ${action}`);
    }
  }

  // What link.js asks for, many times a second.

  lasting(action, direction) {
    const applies = (order) => order.action === action && [direction, 'both'].includes(order.direction);
    return this.orders.findLast(applies);
  }

  afterBytes(direction) {
    return this.orders.filter((order) => order.action in AFTER_BYTES && order.direction === direction);
  }

  useUp(order) {
    ++this.counters.fired;
    if (order.times !== 'always' && --order.times === 0) this.orders.splice(this.orders.indexOf(order), 1);
  }
}

async function main() {
  const { values } = parseArgs({ options: { upstream: { type: 'string' }, stdin: { type: 'boolean' } } });
  endWithParent();
  const chaos = new Chaos(Number(values.upstream));
  const control = serveControl({ read: (url) => chaos.read(url), obey: (order) => chaos.obey(order) });
  announce({ port: await chaos.listen(), control: await listen(control) });
}

main();
