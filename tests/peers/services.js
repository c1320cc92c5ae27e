// How each service looks on the wire: its targets, its errors, and how a part of a batch most often
// fails. The keys are the names that signatures use.
'use strict';

const SERVICES = {
  kinesis: {
    target: 'Kinesis_20131202',
    contentType: 'application/x-amz-json-1.1',
    errorPrefix: '',
    partFailure: 'ProvisionedThroughputExceededException',
  },
  sqs: {
    target: 'AmazonSQS',
    contentType: 'application/x-amz-json-1.0',
    errorPrefix: 'com.amazonaws.sqs#',
    partFailure: 'InternalError',
  },
};

// Every code that is not here answers with 400.
const STATUS = {
  InternalFailure: 500,
  InternalFailureException: 500,
  InternalError: 500,
  ServiceUnavailable: 503,
  ServiceUnavailableException: 503,
  RequestThrottled: 403,
  OverLimit: 403,
  InvalidSecurity: 403,
  PurgeQueueInProgress: 403,
  InvalidAddress: 404,
  ReceiptHandleIsInvalid: 404,
};

// SQS tells its old clients another name in x-amzn-query-error, for these codes a longer one.
const LEGACY_PREFIX = 'AWS.SimpleQueueService.';
const LONGER_LEGACY = new Set([
  'QueueDeletedRecently', 'EmptyBatchRequest', 'TooManyEntriesInBatchRequest', 'BatchEntryIdsNotDistinct',
  'InvalidBatchEntryId', 'BatchRequestTooLong', 'MessageNotInflight', 'UnsupportedOperation', 'PurgeQueueInProgress',
]);

// An answer {status, headers, body} in the service's own form.
function errorAnswer(service, { code, message = code, status = STATUS[code] ?? 400 }) {
  const { contentType, errorPrefix } = SERVICES[service];
  const headers = { 'Content-Type': contentType };
  if (service === 'sqs') {
    headers['x-amzn-query-error'] = `${legacyCode(code)};${status < 500 ? 'Sender' : 'Receiver'}`;
  }
  return { status, headers, body: Buffer.from(JSON.stringify({ __type: errorPrefix + code, message })) };
}

function legacyCode(code) {
  if (code === 'QueueDoesNotExist') return `${LEGACY_PREFIX}NonExistentQueue`;
  if (code === 'QueueNameExists') return 'QueueAlreadyExists';
  return LONGER_LEGACY.has(code) ? LEGACY_PREFIX + code : code;
}

module.exports = { SERVICES, errorAnswer };
