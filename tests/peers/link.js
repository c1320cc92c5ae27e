// One connection through the chaos proxy: the client's socket, ours to the service, and the two
// directions between them. chaos.js holds the orders, this file carries them out.
'use strict';

const net = require('node:net');
const { reset } = require('./reset.js');

const HELD_BYTES_MAX = 1 << 20; // of one direction, before its sender has to wait

class Link {
  constructor(chaos, client) {
    ++chaos.counters.connections;
    const service = net.connect({ port: chaos.upstream, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.ends = [client, service];
    this.directions = [
      new Direction(chaos, this, 'up', client, service),
      new Direction(chaos, this, 'down', service, client),
    ];
    for (const end of this.ends) {
      end.on('error', () => this.reset()); // what breaks on one side breaks on the other
      end.on('close', () => {
        if (this.ends.every(({ destroyed }) => destroyed)) chaos.links.delete(this);
      });
    }
  }

  reset() {
    for (const end of this.ends) reset(end);
  }

  finish() {
    for (const direction of this.directions) direction.finish();
  }

  release() {
    for (const direction of this.directions) direction.release();
  }
}

// The bytes from one end to the other, in order. Each lot remembers when it came, so that a delay is
// a latency and does not add up; what an order cuts off or slows down goes back to the head of the
// line, where the next look finds the orders as they are then.
class Direction {
  constructor(chaos, link, name, from, to) {
    Object.assign(this, { chaos, link, name, from, to });
    this.held = []; // {bytes, at}; bytes null means the end
    this.heldBytes = 0;
    this.passed = new Map(); // order -> bytes passed under it
    this.stalled = false;
    this.finished = false; // `to` has seen the end; whatever still comes is thrown away
    this.notBefore = 0;
    this.wake = () => {};
    from.on('data', (bytes) => this.hold(bytes));
    from.on('end', () => this.hold(null));
    to.on('close', () => this.wake());
    this.run();
  }

  hold(bytes) {
    if (this.finished) return;
    this.held.push({ bytes, at: performance.now() });
    this.heldBytes += bytes?.length ?? 0;
    if (this.heldBytes > HELD_BYTES_MAX) this.from.pause();
    this.wake();
  }

  async run() {
    while (!this.finished && !this.to.destroyed) {
      if (this.held.length === 0 || this.stalled || this.chaos.blackhole) {
        await this.sleep();
        continue;
      }
      const [{ bytes, at }] = this.held;
      const due = Math.max(at + (this.chaos.lasting('delay', this.name)?.ms ?? 0), this.notBefore);
      if (due > performance.now()) await this.sleep(due - performance.now());
      else if (bytes === null) this.finish();
      else await this.pass(bytes, at);
    }
  }

  // Passes the head of the line, or as much of it as the orders allow, and does what they ask then.
  async pass(bytes, at) {
    const trickle = this.chaos.lasting('trickle', this.name);
    const orders = this.chaos.afterBytes(this.name);
    const left = (order) => order.after - (this.passed.get(order) ?? 0);
    const next = orders.reduce((a, b) => (a && left(a) <= left(b) ? a : b), undefined);

    const length = Math.min(bytes.length, trickle?.bytes ?? Infinity, next ? left(next) : Infinity);
    this.held.shift();
    this.heldBytes -= length;
    if (length < bytes.length) this.held.unshift({ bytes: bytes.subarray(length), at });
    if (this.heldBytes <= HELD_BYTES_MAX) this.from.resume();
    if (trickle || this.chaos.lasting('delay', this.name)) {
      this.chaos.counters.slowed += 1;
      this.chaos.counters.slowedMs += Math.floor(performance.now() - at);
    }
    if (trickle) this.notBefore = performance.now() + trickle.everyMs;

    if (length > 0) await this.write(bytes.subarray(0, length));
    this.chaos.counters[this.name === 'up' ? 'bytesUp' : 'bytesDown'] += length;
    for (const order of orders) this.passed.set(order, (this.passed.get(order) ?? 0) + length);
    // Another connection may have used the order up while we wrote.
    if (next && left(next) === 0 && this.chaos.orders.includes(next)) this.fire(next);
  }

  fire(order) {
    this.chaos.useUp(order);
    switch (order.action) {
      case 'rst': return this.link.reset();
      case 'fin': return this.link.finish();
      case 'half-close': return this.finish();
      default: this.stalled = true; // stall
    }
  }

  finish() {
    this.finished = true;
    this.held = [];
    this.from.resume();
    this.to.end();
    this.wake();
  }

  release() {
    this.stalled = false;
    this.wake();
  }

  // Until the kernel has the bytes: an RST that overtakes them would destroy them.
  write(bytes) {
    return new Promise((resolve) => this.to.write(bytes, resolve));
  }

  // Until something happens, or for so long.
  sleep(ms) {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

module.exports = { Link };
