// Calls that carry many things of which some can fail: which operations, what their parts are, how
// to leave some out, and how to put the answers together again.
//
// Kinesis matches answers by position: a failed record keeps its place. SQS matches by Id: failed
// entries stand in a list of their own.
// Failures are a Map from index to {code, message, senderFault}.
'use strict';

const LIST = {
  PutRecords: 'Records',
  SendMessageBatch: 'Entries',
  DeleteMessageBatch: 'Entries',
  ChangeMessageVisibilityBatch: 'Entries',
};

function isBatch(operation) {
  return operation in LIST;
}

function parts(operation, input) {
  return input[LIST[operation]];
}

// The same call without the failed parts.
function without(operation, input, failures) {
  return { ...input, [LIST[operation]]: parts(operation, input).filter((_, i) => !failures.has(i)) };
}

// `output` is the service's answer to without(...), or undefined if there was nothing left to send.
function merge(operation, input, failures, output) {
  if (operation === 'PutRecords') return mergeRecords(input, failures, output);
  const failed = [...failures].sort(([a], [b]) => a - b).map(([i, { code, message, senderFault = false }]) => (
    { Id: parts(operation, input)[i].Id, SenderFault: senderFault, Code: code, Message: message }));
  return { Successful: output?.Successful ?? [], Failed: [...(output?.Failed ?? []), ...failed] };
}

function mergeRecords(input, failures, output) {
  const answers = [...(output?.Records ?? [])];
  const records = input.Records.map((_, i) => {
    const failure = failures.get(i);
    return failure ? { ErrorCode: failure.code, ErrorMessage: failure.message } : answers.shift();
  });
  return { ...output, FailedRecordCount: (output?.FailedRecordCount ?? 0) + failures.size, Records: records };
}

module.exports = { isBatch, parts, without, merge };
