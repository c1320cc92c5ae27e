// Signature Version 4, written from its specification with node:crypto and nothing else.
//
// It shares no code and no author's assumption with the C++ signer in src/aws, which is the point:
// when both agree on a request, neither is merely consistent with itself.
//
//   canonical request = method \n path \n query \n (name:value \n)... \n signed names \n hash(body)
//   string to sign    = algorithm \n time \n date/region/service/aws4_request \n hash(canonical)
//   key               = HMAC chain over date, region, service, aws4_request, from "AWS4" + secret
//   signature         = hex HMAC(key, string to sign)
//
// A request is {method, url, rawHeaders, body}: url and the flat name-value list rawHeaders as
// node:http hands them out, one character per byte, so that what is hashed is what was sent.
//
// Not here: presigned URLs (signature in the query), chunk signing, S3's single path encoding.
'use strict';

const crypto = require('node:crypto');

const ALGORITHM = 'AWS4-HMAC-SHA256';

// The four steps above, each by its own name so that a test can hold it against a known answer.

function canonicalRequest(request, signedHeaders, { normalize = true } = {}) {
  const [path, query] = splitOnce(request.url, '?');
  return [
    request.method,
    canonicalPath(path, normalize),
    canonicalQuery(query),
    ...signedHeaders.map((name) => `${name}:${canonicalHeader(request, name)}`),
    '',
    signedHeaders.join(';'),
    sha256(request.body),
  ].join('\n');
}

function stringToSign(time, scope, canonical) {
  return [ALGORITHM, time, scope, sha256(Buffer.from(canonical, 'latin1'))].join('\n');
}

function signingKey(secret, date, region, service) {
  return [date, region, service, 'aws4_request'].reduce(hmac, Buffer.from(`AWS4${secret}`));
}

function signature(key, text) {
  return hmac(key, text).toString('hex');
}

// The headers that turn `headers` (an object, names in any case) into a signed request: all of
// them, X-Amz-Date, the token if there is one, and Authorization. Every header given is signed.
function sign({ method, url, headers, body }, credentials, { region, service, now = Date.now() }) {
  const time = amzTime(now);
  const all = { ...headers, 'X-Amz-Date': time };
  if (credentials.token) all['X-Amz-Security-Token'] = credentials.token;

  const names = Object.keys(all).map((name) => name.toLowerCase()).sort();
  const scope = `${time.slice(0, 8)}/${region}/${service}/aws4_request`;
  const canonical = canonicalRequest({ method, url, rawHeaders: Object.entries(all).flat(), body }, names);
  const key = signingKey(credentials.secret, time.slice(0, 8), region, service);
  all.Authorization = `${ALGORITHM} Credential=${credentials.keyId}/${scope}, ` +
    `SignedHeaders=${names.join(';')}, Signature=${signature(key, stringToSign(time, scope, canonical))}`;
  return all;
}

// 2015-08-30T12:36:00.000Z in the form that signatures use: 20150830T123600Z.
function amzTime(ms) {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '');
}

// All values of a header, in the order sent.
function headerValues({ rawHeaders }, name) {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1].toLowerCase() === name);
}

// Blanks at the ends go, inner runs become one, repeated headers are joined by a comma.
function canonicalHeader(request, name) {
  return headerValues(request, name).map((value) => value.trim().replace(/ +/g, ' ')).join(',');
}

// Each segment is encoded once more as it stands in the request line, so %20 becomes %2520.
function canonicalPath(path, normalize) {
  const segments = path.split('/').slice(1);
  const kept = normalize ? withoutDots(segments) : segments;
  return `/${kept.map(encode).join('/')}`;
}

// A slash at the end survives, as an empty last segment.
function withoutDots(segments) {
  const kept = [];
  for (const segment of segments) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  const last = segments[segments.length - 1];
  if (kept.length > 0 && (last === '' || last === '.' || last === '..')) kept.push('');
  return kept;
}

// Decoded, so that a client's own choice of escapes does not matter; encoded again; sorted by name,
// then value. A plus sign is a plus sign.
function canonicalQuery(query) {
  if (!query) return '';
  return query.split('&').filter(Boolean)
    .map((pair) => splitOnce(pair, '=').map((part) => encode(decode(part))))
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map((pair) => pair.join('='))
    .join('&');
}

function encode(text) {
  return text.replace(/[^A-Za-z0-9\-._~]/g, (c) =>
    `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

function decode(text) {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}

function splitOnce(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sha256(bytes) {
  return crypto.createHash('sha256').update(bytes).digest('hex');
}

function hmac(key, text) {
  return crypto.createHmac('sha256', key).update(text).digest();
}

module.exports = {
  ALGORITHM, canonicalRequest, stringToSign, signingKey, signature, sign, amzTime, headerValues, sha256,
};
