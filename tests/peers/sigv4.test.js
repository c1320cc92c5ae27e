// Holds sigv4.js and verify.js against published answers: three known answers that live in this
// file, and the whole set of vectors when it lies beside the repository.
//   node --test sigv4.test.js
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const sigv4 = require('./sigv4.js');
const { verify } = require('./verify.js');

const VECTORS = path.join(__dirname, '../../../shared/sigv4-vectors');

// The one vector left out: a folded (multi-line) header. Folding is obsolete, HTTP parsers reject
// it, and the published suites disagree on whether a fold counts as a blank or as a comma.
const LEFT_OUT = 'get-header-value-multiline';

const KEY_ID = 'AKIDEXAMPLE';
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const TIME = '20150830T123600Z';
const NOW = Date.parse('2015-08-30T12:36:00Z');

const KNOWN = [
  {
    name: 'a GET without a body',
    service: 'service',
    request: {
      method: 'GET', url: '/', body: '',
      rawHeaders: ['Host', 'example.amazonaws.com', 'X-Amz-Date', TIME],
    },
    canonical: 'bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63',
    signature: '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  },
  {
    name: 'a Kinesis call with a session token',
    service: 'kinesis',
    token: 'TOKEN',
    request: {
      method: 'POST', url: '/', body: '{"StreamName":"s"}',
      rawHeaders: [
        'Content-Type', 'application/x-amz-json-1.1',
        'Host', 'kinesis.us-east-1.amazonaws.com',
        'X-Amz-Date', TIME,
        'X-Amz-Security-Token', 'TOKEN',
        'X-Amz-Target', 'Kinesis_20131202.DescribeStreamSummary',
      ],
    },
    key: '1a8ef0fa45f4fb9b8ca6c755f0b81c00b521d0e7b9564a363d2511b8f4d4bc54',
    canonical: '06a9753eb867ee330a5bcff10525511eb1fa7d0809b17928119cc7ef09130ee1',
    signature: '77b1b786a80d2d1b846221c7c2245ab94a7c75dc8c79169a5bf5744e8acde2e7',
  },
  {
    name: 'a query whose names need sorting',
    service: 'service',
    request: {
      method: 'GET', url: '/?Param2=value2&Param1=value1', body: '',
      rawHeaders: ['Host', 'example.amazonaws.com', 'X-Amz-Date', TIME],
    },
    canonical: '816cd5b414d056048ba4f7c5386d6e0533120fb1fcfa93762cf0fc39e2cf19e0',
    signature: 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  },
];

for (const known of KNOWN) {
  test(`known answer: ${known.name}`, () => {
    const names = known.request.rawHeaders.filter((_, i) => i % 2 === 0).map((n) => n.toLowerCase());
    const scope = `20150830/us-east-1/${known.service}/aws4_request`;
    const key = sigv4.signingKey(SECRET, '20150830', 'us-east-1', known.service);
    const canonical = sigv4.canonicalRequest(known.request, names);
    if (known.key) assert.strictEqual(key.toString('hex'), known.key);
    assert.strictEqual(sigv4.sha256(canonical), known.canonical);
    assert.strictEqual(sigv4.signature(key, sigv4.stringToSign(TIME, scope, canonical)), known.signature);

    const world = worldFor(known.service, known.token);
    const signed = (changes = {}) => withAuthorization(known.request, names, scope, { ...known, ...changes });
    assert.deepStrictEqual(verify(signed(), world), { keyId: KEY_ID });
    const other = known.signature.replace(/^./, (c) => (c === '0' ? '1' : '0'));
    assert.match(verify(signed({ signature: other }), world).message, /signature we calculated does not match/);
  });
}

const absent = fs.existsSync(VECTORS) ? false : 'the published vectors are not beside this repository';

test('every published vector gives the published canonical request, string to sign and signature', { skip: absent }, () => {
  const cases = fs.readdirSync(VECTORS, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => e.name);
  assert.ok(cases.includes(LEFT_OUT));
  let checked = 0;
  for (const name of cases.filter((c) => c !== LEFT_OUT)) {
    const read = (file) => fs.readFileSync(path.join(VECTORS, name, file), 'latin1');
    const context = JSON.parse(read('context.json'));
    const request = parseRequest(read('header-signed-request.txt'));
    const [authorization] = sigv4.headerValues(request, 'authorization');
    const [, keyId, scope, names] = /Credential=([^/]+)\/(\S+), SignedHeaders=(\S+),/.exec(authorization);
    const time = sigv4.amzTime(Date.parse(context.timestamp));
    const key = sigv4.signingKey(context.credentials.secret_access_key, scope.slice(0, 8), context.region, context.service);

    const canonical = sigv4.canonicalRequest(request, names.split(';'), { normalize: context.normalize });
    const text = sigv4.stringToSign(time, scope, canonical);
    assert.strictEqual(keyId, context.credentials.access_key_id, name);
    assert.strictEqual(canonical, read('header-canonical-request.txt'), name);
    assert.strictEqual(text, read('header-string-to-sign.txt'), name);
    assert.strictEqual(sigv4.signature(key, text), read('header-signature.txt'), name);
    ++checked;
  }
  assert.strictEqual(checked, cases.length - 1);
  assert.ok(checked >= 37, `only ${checked} vectors`);
});

test('the signer itself produces the published signature', { skip: absent }, () => {
  const request = parseRequest(fs.readFileSync(path.join(VECTORS, 'get-vanilla-with-session-token/request.txt'), 'latin1'));
  const context = JSON.parse(fs.readFileSync(path.join(VECTORS, 'get-vanilla-with-session-token/context.json')));
  const published = parseRequest(
    fs.readFileSync(path.join(VECTORS, 'get-vanilla-with-session-token/header-signed-request.txt'), 'latin1'));
  const headers = sigv4.sign(
    { ...request, headers: { Host: sigv4.headerValues(request, 'host')[0] } },
    { keyId: KEY_ID, secret: SECRET, token: context.credentials.token },
    { region: 'us-east-1', service: 'service', now: NOW });
  assert.strictEqual(headers.Authorization, sigv4.headerValues(published, 'authorization')[0]);
});

test('a token that is sent but not signed is refused, though one vector does it', { skip: absent }, () => {
  const folder = path.join(VECTORS, 'post-sts-header-after');
  const request = parseRequest(fs.readFileSync(path.join(folder, 'header-signed-request.txt'), 'latin1'));
  const { token } = JSON.parse(fs.readFileSync(path.join(folder, 'context.json'))).credentials;
  assert.match(verify(request, worldFor('service', token)).message, /x-amz-security-token must be signed/);
});

test('each way to be wrong has its own refusal', () => {
  const call = (credentials = {}, scope = {}, headers = {}) => {
    const request = { method: 'POST', url: '/', body: '{}', headers: { Host: 'h', 'X-Amz-Target': 'T.Op', ...headers } };
    const signed = sigv4.sign(request, { keyId: KEY_ID, secret: SECRET, ...credentials },
      { region: 'us-east-1', service: 'kinesis', now: NOW, ...scope });
    return { ...request, rawHeaders: Object.entries(signed).flat() };
  };
  const refusal = (request, now = NOW) => {
    const { code, message } = verify(request, { ...worldFor('kinesis'), now });
    return `${code}: ${message}`;
  };
  const MINUTE = 60_000;

  assert.deepStrictEqual(verify(call(), worldFor('kinesis')), { keyId: KEY_ID });
  assert.match(refusal(call({ secret: 'wrong' })), /^InvalidSignatureException: .*does not match[^]*POST\n\/\n/);
  assert.match(refusal(call({ keyId: 'AKIDSTRANGER' })), /^UnrecognizedClientException/);
  assert.match(refusal(call({ token: 'unasked' })), /^UnrecognizedClientException/);
  assert.match(refusal(call({}, { region: 'eu-west-1' })), /valid region, not 'eu-west-1'/);
  assert.match(refusal(call({}, { service: 'sqs' })), /correct service: 'kinesis'/);
  assert.match(refusal(call({}, {}, { 'User-Agent': 'x' })), /user-agent must not be signed/);
  assert.match(refusal({ ...call(), body: '{ }' }), /does not match/);
  assert.match(refusal({ ...call(), rawHeaders: ['Host', 'h'] }), /^MissingAuthenticationTokenException/);
  assert.match(refusal({ ...call(), rawHeaders: ['Host', 'h', 'Authorization', 'Bearer x'] }), /^IncompleteSignatureException/);

  assert.match(refusal(call(), NOW + 5 * MINUTE + 1000),
    /Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \(20150830T124101Z - 5 min\.\)/);
  assert.match(refusal(call(), NOW - 5 * MINUTE - 1000),
    /Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z \(20150830T123059Z \+ 5 min\.\)/);
  for (const offset of [5 * MINUTE, -5 * MINUTE]) {
    assert.deepStrictEqual(verify(call(), { ...worldFor('kinesis'), now: NOW + offset }), { keyId: KEY_ID });
  }
});

function worldFor(service, token) {
  return { service, region: 'us-east-1', now: NOW, credentials: [{ keyId: KEY_ID, secret: SECRET, token }] };
}

function withAuthorization(request, names, scope, { signature }) {
  const authorization = `AWS4-HMAC-SHA256 Credential=${KEY_ID}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return { ...request, rawHeaders: [...request.rawHeaders, 'Authorization', authorization] };
}

// A request as the vectors write it: raw line, Name:value lines, perhaps a blank line and a body.
function parseRequest(text) {
  const [head, ...rest] = text.split('\n\n');
  const [line, ...headers] = head.trimEnd().split('\n');
  const [, method, url] = /^(\S+) (.*) HTTP\/1\.1$/.exec(line);
  const rawHeaders = headers.flatMap((header) => {
    const at = header.indexOf(':');
    return [header.slice(0, at), header.slice(at + 1)];
  });
  return { method, url, rawHeaders, body: Buffer.from(rest.join('\n\n'), 'latin1') };
}
