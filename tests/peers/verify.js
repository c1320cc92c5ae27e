// Decides, as the service does, whether a request is signed by someone we know.
//
// Stricter than the service where a laxer reading could hide a fault of ours: the Authorization
// header has one exact form, and a header that proxies rewrite must not be signed. The answer to a
// wrong signature carries the canonical request and the string to sign, as the service's does;
// comparing them with one's own shows the difference in a minute.
'use strict';

const crypto = require('node:crypto');
const sigv4 = require('./sigv4.js');

const MINUTES_TOLERATED = 5;

// A proxy or the HTTP client may change these after signing.
const NEVER_SIGNED = new RegExp('^(connection|expect|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade' +
  '|user-agent|x-amzn-trace-id)$');

const CREDENTIAL = /^([^/\s]+)\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request$/;

// Returns {keyId} for a good request, {code, message} for any other. `request` is as in sigv4.js,
// `world` is {service, region, credentials, now} with now in milliseconds.
function verify(request, world) {
  const only = (name) => sigv4.headerValues(request, name);

  const authorizations = only('authorization');
  if (authorizations.length === 0) return no('MissingAuthenticationTokenException', 'Missing Authentication Token');
  const claim = parseAuthorization(authorizations);
  if (!claim) return no('IncompleteSignatureException', 'Authorization does not have the one form that is accepted.');

  const times = only('x-amz-date');
  if (times.length !== 1 || !/^\d{8}T\d{6}Z$/.test(times[0])) {
    return no('IncompleteSignatureException', 'X-Amz-Date must be given once, as YYYYMMDDTHHMMSSZ.');
  }
  const time = times[0];

  const flaw = flawInSignedHeaders(request, claim.signedHeaders);
  if (flaw) return no('InvalidSignatureException', flaw);

  const known = world.credentials.find((c) => c.keyId === claim.keyId);
  if (!known) return no('UnrecognizedClientException', 'The security token included in the request is invalid.');
  if (only('x-amz-security-token').join() !== (known.token ?? '')) {
    return no('UnrecognizedClientException', 'The security token included in the request is invalid.');
  }

  const wrong = wrongScope(claim, time, world) ?? wrongTime(time, world.now);
  if (wrong) return no('InvalidSignatureException', wrong);

  const scope = `${claim.date}/${claim.region}/${claim.service}/aws4_request`;
  const canonical = sigv4.canonicalRequest(request, claim.signedHeaders);
  const text = sigv4.stringToSign(time, scope, canonical);
  const right = sigv4.signature(sigv4.signingKey(known.secret, claim.date, claim.region, claim.service), text);
  if (!crypto.timingSafeEqual(Buffer.from(right), Buffer.from(claim.signature))) {
    return no('InvalidSignatureException',
      'The request signature we calculated does not match the signature you provided. ' +
      'Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\n' +
      `The Canonical String for this request should have been\n'${canonical}'\n\n` +
      `The String-to-Sign should have been\n'${text}'\n`);
  }
  return { keyId: claim.keyId };
}

function no(code, message) {
  return { code, message };
}

function parseAuthorization(values) {
  if (values.length !== 1) return null;
  const form = /^(\S+) Credential=(\S+), ?SignedHeaders=(\S+), ?Signature=([0-9a-f]{64})$/.exec(values[0]);
  const credential = form && form[1] === sigv4.ALGORITHM && CREDENTIAL.exec(form[2]);
  if (!credential) return null;
  const [, keyId, date, region, service] = credential;
  return { keyId, date, region, service, signedHeaders: form[3].split(';'), signature: form[4] };
}

function flawInSignedHeaders(request, names) {
  const sorted = names.every((name, i) => name === name.toLowerCase() && (i === 0 || names[i - 1] < name));
  if (!sorted) return 'SignedHeaders must be lower-case, distinct and sorted.';
  const present = (name) => sigv4.headerValues(request, name).length > 0;
  const missing = ['host', 'x-amz-date'].concat(['x-amz-target', 'x-amz-security-token'].filter(present))
    .find((name) => !names.includes(name));
  if (missing) return `Header ${missing} must be signed.`;
  const fickle = names.find((name) => NEVER_SIGNED.test(name));
  if (fickle) return `Header ${fickle} must not be signed.`;
  return null;
}

function wrongScope(claim, time, world) {
  if (claim.date !== time.slice(0, 8)) {
    return 'Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: ' +
      `'${claim.date}' != '${time.slice(0, 8)}', from '${time}'.`;
  }
  if (claim.region !== world.region) return `Credential should be scoped to a valid region, not '${claim.region}'. `;
  if (claim.service !== world.service) return `Credential should be scoped to correct service: '${world.service}'. `;
  return null;
}

function wrongTime(time, now) {
  const tolerated = MINUTES_TOLERATED * 60_000;
  const at = Date.parse(time.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
  const [oldest, newest] = [now - tolerated, now + tolerated];
  // Whole seconds, because that is all a signature's time can say.
  if (Number.isNaN(at)) return `Invalid date: ${time}`;
  if (at < Math.floor(oldest / 1000) * 1000) {
    return `Signature expired: ${time} is now earlier than ${sigv4.amzTime(oldest)} ` +
      `(${sigv4.amzTime(now)} - ${MINUTES_TOLERATED} min.)`;
  }
  if (at > newest) {
    return `Signature not yet current: ${time} is still later than ${sigv4.amzTime(newest)} ` +
      `(${sigv4.amzTime(now)} + ${MINUTES_TOLERATED} min.)`;
  }
  return null;
}

module.exports = { verify };
