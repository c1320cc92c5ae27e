// Makes a throw-away certificate authority and, signed by it, the certificates of a server on
// localhost: a good one and three that a client must refuse. Needs the openssl program.
//
// The good one is valid since yesterday, so that a client whose clock is some minutes or hours slow
// gets through TLS and meets the refusal of its signature.
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const DAY_MS = 24 * 60 * 60 * 1000;
const LOCAL = 'DNS:localhost,IP:127.0.0.1';

// name -> names in it and days from now of its start and end
const KINDS = {
  'good': { names: LOCAL, from: -1, to: 30 },
  'expired': { names: LOCAL, from: -30, to: -1 },
  'not-yet': { names: LOCAL, from: 1, to: 30 },
  'wrong-name': { names: 'DNS:elsewhere.test', from: -1, to: 30 },
};

const CONFIG = `
[req]
distinguished_name = name
[name]
[ca]
default_ca = authority
[authority]
dir = .
database = index.txt
serial = serial
new_certs_dir = .
private_key = ca.key
certificate = ca.pem
default_md = sha256
unique_subject = no
policy = any_name
[any_name]
commonName = supplied
[as_authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
`;

// Fills `dir` (which must be new or left by an earlier run) and returns the path of the CA's
// certificate, the only file that a client needs.
function makeCertificates(dir) {
  fs.rmSync(dir, { recursive: true, force: true });
  fs.mkdirSync(dir, { recursive: true });
  const write = (name, text) => fs.writeFileSync(path.join(dir, name), text);
  const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] });
  const key = (name) => openssl(
    'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-out', `${name}.key`);
  const request = (name) => openssl('req', '-new', '-config', 'openssl.cnf', '-subj', `/CN=eddy test ${name}`,
    '-key', `${name}.key`, '-out', `${name}.csr`);
  const issue = (name, from, to, ...args) => openssl('ca', '-batch', '-notext', '-config', 'openssl.cnf',
    '-startdate', opensslTime(from), '-enddate', opensslTime(to), '-out', `${name}.pem`, ...args);

  write('openssl.cnf', CONFIG + Object.entries(KINDS).map(([kind, { names }]) =>
    `[${kind}]\nbasicConstraints = CA:FALSE\nextendedKeyUsage = serverAuth\nsubjectAltName = ${names}\n`).join(''));
  write('index.txt', '');
  write('serial', '01\n');
  key('ca');
  request('ca');
  issue('ca', -31, 31, '-selfsign', '-keyfile', 'ca.key', '-extensions', 'as_authority', '-in', 'ca.csr');
  key('server');
  request('server');
  for (const [kind, { from, to }] of Object.entries(KINDS)) {
    issue(kind, from, to, '-extensions', kind, '-in', 'server.csr');
  }
  return path.join(dir, 'ca.pem');
}

// The options of a TLS server that shows the certificate of that kind.
function readCertificate(dir, kind) {
  if (!(kind in KINDS)) throw new Error(`no such certificate: ${kind}`);
  return { key: fs.readFileSync(path.join(dir, 'server.key')), cert: fs.readFileSync(path.join(dir, `${kind}.pem`)) };
}

function opensslTime(days) {
  return new Date(Date.now() + days * DAY_MS).toISOString().replace(/[-:T]|\.\d+/g, '');
}

module.exports = { makeCertificates, readCertificate };
