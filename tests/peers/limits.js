// The limits of the service that the emulators do not keep, or keep otherwise.
//
// check() returns what is wrong with a call: nothing; an error that fails the whole of it; or, for
// an SQS batch, failures of single entries, by index. What an emulator checks well (names, required
// members, stream and queue states) is left to it.
'use strict';

const DEFAULTS = {
  recordsMax: 500,
  recordBytesMax: 1 << 20, // data and partition key
  requestBytesMax: 5 << 20, // the sum of those
  entriesMax: 10,
  messageBytesMax: 1 << 20, // body and attributes; also of a whole batch
};

const HASH_KEY_END = 1n << 128n;

function check(operation, input, limits) {
  switch (operation) {
    case 'PutRecord': return checkRecords([input], limits);
    case 'PutRecords': return checkRecords(input.Records, limits);
    case 'SendMessage': return { error: flawOfMessage(input, limits) };
    case 'SendMessageBatch': return checkBatch(input.Entries, limits, true);
    case 'DeleteMessageBatch':
    case 'ChangeMessageVisibilityBatch': return checkBatch(input.Entries, limits, false);
    default: return {};
  }
}

// Kinesis: one bad record fails the request.
function checkRecords(records, limits) {
  if (!Array.isArray(records) || records.length === 0) return invalid("Value at 'records' failed to satisfy constraint: Member must have length at least 1");
  if (records.length > limits.recordsMax) {
    return invalid("Value at 'records' failed to satisfy constraint: " +
      `Member must have length less than or equal to ${limits.recordsMax}`);
  }
  let total = 0;
  for (const [i, record] of records.entries()) {
    const flaw = flawOfRecord(record, `records.${i + 1}.member`, limits);
    if (flaw) return flaw;
    total += recordBytes(record);
  }
  if (total > limits.requestBytesMax) {
    return error('InvalidArgumentException', `Records size exceeds ${limits.requestBytesMax} bytes: ${total}`);
  }
  return {};
}

function flawOfRecord({ Data, PartitionKey, ExplicitHashKey }, at, limits) {
  if (typeof PartitionKey !== 'string' || PartitionKey.length < 1 || PartitionKey.length > 256) {
    return invalid(`Value at '${at}.partitionKey' failed to satisfy constraint: ` +
      'Member must have length between 1 and 256');
  }
  if (typeof Data !== 'string' || Buffer.from(Data, 'base64').toString('base64') !== Data) {
    return error('SerializationException', `${at}.data is not base64`);
  }
  if (recordBytes({ Data, PartitionKey }) > limits.recordBytesMax) {
    return invalid(`Value at '${at}.data' failed to satisfy constraint: ` +
      `Data and partition key must be at most ${limits.recordBytesMax} bytes`);
  }
  if (ExplicitHashKey != null && !/^(0|[1-9]\d{0,38})$/.test(ExplicitHashKey)) {
    return invalid(`Value '${ExplicitHashKey}' at '${at}.explicitHashKey' failed to satisfy constraint: ` +
      'Member must satisfy regular expression pattern: 0|([1-9]\\d{0,38})');
  }
  if (ExplicitHashKey != null && BigInt(ExplicitHashKey) >= HASH_KEY_END) {
    return error('InvalidArgumentException', 'Invalid ExplicitHashKey. ExplicitHashKey must be in the range: ' +
      `[0, 2^128-1]. Specified value was ${ExplicitHashKey}`);
  }
  return null;
}

function error(code, message) {
  return { error: { code, message } };
}

function invalid(constraint) {
  return error('ValidationException', `1 validation error detected: ${constraint}`);
}

function recordBytes({ Data, PartitionKey }) {
  return Buffer.byteLength(Data, 'base64') + Buffer.byteLength(PartitionKey);
}

// SQS: the batch as a whole first, then each entry for itself.
function checkBatch(entries, limits, carryMessages) {
  if (!Array.isArray(entries) || entries.length === 0) {
    return error('EmptyBatchRequest', 'There should be at least one entry in the request.');
  }
  if (entries.length > limits.entriesMax) {
    return error('TooManyEntriesInBatchRequest',
      `Maximum number of entries per request are ${limits.entriesMax}. You have sent ${entries.length}.`);
  }
  if (entries.some(({ Id }) => !/^[A-Za-z0-9_-]{1,80}$/.test(Id))) {
    return error('InvalidBatchEntryId', 'A batch entry id can only contain alphanumeric characters, hyphens and ' +
      'underscores. It can be at most 80 letters long.');
  }
  if (new Set(entries.map(({ Id }) => Id)).size < entries.length) {
    return error('BatchEntryIdsNotDistinct', 'Two or more batch entries in the request have the same Id.');
  }
  if (!carryMessages) return {};

  const total = entries.reduce((sum, entry) => sum + messageBytes(entry), 0);
  if (total > limits.messageBytesMax) {
    return error('BatchRequestTooLong',
      `Batch requests cannot be longer than ${limits.messageBytesMax} bytes. You have sent ${total} bytes.`);
  }
  const failures = new Map();
  for (const [i, entry] of entries.entries()) {
    const flaw = flawOfMessage(entry, limits);
    if (flaw) failures.set(i, { ...flaw, senderFault: true });
  }
  return { failures };
}

function flawOfMessage(message, limits) {
  const { MessageBody, DelaySeconds = 0, MessageAttributes = {} } = message;
  const flaw = (text, code = 'InvalidParameterValue') => ({ code, message: text });
  if (typeof MessageBody !== 'string' || MessageBody === '') {
    return flaw('The request must contain the parameter MessageBody.', 'MissingParameter');
  }
  if (/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u.test(MessageBody)) {
    return flaw('Invalid characters found.', 'InvalidMessageContents');
  }
  if (messageBytes(message) > limits.messageBytesMax) {
    return flaw('One or more parameters are invalid. ' +
      `Reason: Message must be shorter than ${limits.messageBytesMax} bytes.`);
  }
  if (!Number.isInteger(DelaySeconds) || DelaySeconds < 0 || DelaySeconds > 900) {
    return flaw(`Value ${DelaySeconds} for parameter DelaySeconds is invalid. ` +
      'Reason: DelaySeconds must be >= 0 and <= 900.');
  }
  const attributes = Object.entries(MessageAttributes);
  if (attributes.length > 10) {
    return flaw(`Number of message attributes [${attributes.length}] exceeds the allowed maximum [10].`);
  }
  for (const [name, value] of attributes) {
    const wrong = flawOfAttribute(name, value);
    if (wrong) return flaw(wrong);
  }
  return undefined;
}

function flawOfAttribute(name, { DataType = '', StringValue, BinaryValue }) {
  if (!/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(name) || name.length > 256 || /^(aws|amazon)\./i.test(name)) {
    return `The message attribute name '${name}' is invalid.`;
  }
  const base = /^(String|Number|Binary)(\..+)?$/.exec(DataType)?.[1];
  if (!base || DataType.length > 256) return `The message attribute '${name}' has an invalid message attribute type.`;
  const value = base === 'Binary' ? BinaryValue : StringValue;
  if (typeof value !== 'string' || value === '') {
    return `The message attribute '${name}' must contain a non-empty value of type '${base}'.`;
  }
  return null;
}

function messageBytes({ MessageBody = '', MessageAttributes = {} }) {
  return Object.entries(MessageAttributes).reduce(
    (sum, [name, { DataType = '', StringValue = '', BinaryValue = '' }]) => sum + Buffer.byteLength(name) +
      Buffer.byteLength(DataType) + Buffer.byteLength(StringValue) + Buffer.byteLength(BinaryValue, 'base64'),
    Buffer.byteLength(MessageBody));
}

module.exports = { DEFAULTS, check, recordBytes };
