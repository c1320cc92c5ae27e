// Who the test clients are: the region and the credentials that the fronts accept.
//
// The secrets are invented and open no door anywhere. The first pair is long-term; the two others
// carry a session token, so that a test can let one expire and go on with the next.
'use strict';

exports.REGION = 'us-east-1';
exports.ACCOUNT = '000000000000';

exports.CREDENTIALS = [
  { keyId: 'AKIDEDDYLONGTERM', secret: 'not-a-real-secret/eddy+long-term' },
  { keyId: 'ASIAEDDYFIRST', secret: 'not-a-real-secret/eddy+first', token: 'eddy/first+session==' },
  { keyId: 'ASIAEDDYSECOND', secret: 'not-a-real-secret/eddy+second', token: 'eddy/second+session==' },
];
