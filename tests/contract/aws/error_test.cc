// Errors of Kinesis and SQS and what the sender does about them. The tables are
// those of the API references and of the SDKs' standard retry mode.
#include "src/aws/error.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

namespace eddy::aws {
namespace {

HttpResponse Answer(int status, std::string body, std::vector<HttpHeader> headers = {}) {
  HttpResponse response;
  response.status = status;
  response.headers = std::move(headers);
  response.body = std::move(body);
  return response;
}

HttpResponse JsonError(int status, const std::string& code) {
  return Answer(status, R"({"__type":")" + code + R"(","message":"why"})");
}

struct Row {
  const char* code;
  int status;
  ErrorClass error_class;
};

constexpr ErrorClass kRetryable = ErrorClass::kRetryable;
constexpr ErrorClass kThrottled = ErrorClass::kThrottled;
constexpr ErrorClass kExpired = ErrorClass::kExpiredCredentials;
constexpr ErrorClass kSkew = ErrorClass::kClockSkew;
constexpr ErrorClass kDenied = ErrorClass::kDenied;
constexpr ErrorClass kNotFound = ErrorClass::kNotFound;
constexpr ErrorClass kOversize = ErrorClass::kOversize;
constexpr ErrorClass kPermanent = ErrorClass::kPermanentRequest;

constexpr Row kKinesis[] = {
    {"ProvisionedThroughputExceededException", 400, kThrottled},
    {"LimitExceededException", 400, kThrottled},
    {"KMSThrottlingException", 400, kThrottled},
    {"InternalFailureException", 500, kRetryable},
    {"InternalFailure", 500, kRetryable},
    {"ResourceInUseException", 400, kRetryable},
    {"ServiceUnavailable", 503, kRetryable},
    {"InvalidArgumentException", 400, kPermanent},
    {"ValidationException", 400, kPermanent},
    {"SerializationException", 400, kPermanent},
    {"ExpiredIteratorException", 400, kDenied},
    {"ExpiredNextTokenException", 400, kDenied},
    {"ResourceNotFoundException", 400, kNotFound},
    {"AccessDeniedException", 400, kDenied},
    {"KMSAccessDeniedException", 400, kDenied},
    {"KMSDisabledException", 400, kDenied},
    {"KMSInvalidStateException", 400, kDenied},
    {"KMSNotFoundException", 400, kDenied},
    {"KMSOptInRequired", 400, kDenied},
    {"UnknownOperationException", 400, kDenied},
    {"MissingAuthenticationTokenException", 400, kDenied},
    {"IncompleteSignatureException", 400, kDenied},
    {"UnrecognizedClientException", 400, kExpired},
    {"ExpiredTokenException", 400, kExpired},
    {"InvalidSignatureException", 400, kSkew},
};

constexpr Row kSqs[] = {
    {"QueueDoesNotExist", 400, kNotFound},
    {"AWS.SimpleQueueService.NonExistentQueue", 400, kNotFound},
    {"InvalidAddress", 404, kNotFound},
    {"ResourceNotFoundException", 404, kNotFound},
    {"QueueNameExists", 400, kDenied},
    {"QueueAlreadyExists", 400, kDenied},
    {"QueueDeletedRecently", 400, kRetryable},
    {"AWS.SimpleQueueService.QueueDeletedRecently", 400, kRetryable},
    {"AWS.SimpleQueueService.PurgeQueueInProgress", 403, kRetryable},
    {"EmptyBatchRequest", 400, kDenied},
    {"AWS.SimpleQueueService.EmptyBatchRequest", 400, kDenied},
    {"TooManyEntriesInBatchRequest", 400, kOversize},
    {"AWS.SimpleQueueService.TooManyEntriesInBatchRequest", 400, kOversize},
    {"BatchRequestTooLong", 400, kOversize},
    {"AWS.SimpleQueueService.BatchRequestTooLong", 400, kOversize},
    {"BatchEntryIdsNotDistinct", 400, kDenied},
    {"InvalidBatchEntryId", 400, kDenied},
    {"AWS.SimpleQueueService.MessageNotInflight", 400, kDenied},
    {"AWS.SimpleQueueService.UnsupportedOperation", 400, kDenied},
    {"OverLimit", 403, kThrottled},
    {"RequestThrottled", 403, kThrottled},
    {"InvalidSecurity", 403, kDenied},
    {"ReceiptHandleIsInvalid", 400, kDenied},
    {"InvalidAttributeName", 400, kDenied},
    {"InvalidAttributeValue", 400, kDenied},
    {"InvalidMessageContents", 400, kPermanent},
    {"InvalidIdFormat", 400, kDenied},
    {"InvalidParameterValue", 400, kPermanent},
    {"MissingParameter", 400, kDenied},
    {"KmsDisabled", 400, kDenied},
    {"KMS.DisabledException", 400, kDenied},
    {"KmsOptInRequired", 403, kDenied},
    {"KMS.OptInRequired", 403, kDenied},
    {"KmsThrottled", 400, kThrottled},
    {"KMS.ThrottlingException", 400, kThrottled},
};

// Any service's.
constexpr Row kCommon[] = {
    {"RequestTimeout", 400, kRetryable},
    {"RequestTimeoutException", 400, kRetryable},
    {"InternalError", 500, kRetryable},
    {"BandwidthLimitExceeded", 509, kThrottled},
    {"EC2ThrottledException", 503, kThrottled},
    {"PriorRequestNotComplete", 400, kThrottled},
    {"RequestLimitExceeded", 503, kThrottled},
    {"RequestThrottledException", 400, kThrottled},
    {"SlowDown", 503, kThrottled},
    {"ThrottledException", 400, kThrottled},
    {"Throttled", 429, kThrottled},
    {"Throttling", 400, kThrottled},
    {"ThrottlingException", 400, kThrottled},
    {"TooManyRequestsException", 429, kThrottled},
    {"TransactionInProgressException", 400, kThrottled},
    {"ExpiredToken", 403, kExpired},
    {"RequestTimeTooSkewed", 403, kSkew},
    {"RequestExpired", 400, kSkew},
    {"RequestInTheFuture", 400, kSkew},
    {"SignatureDoesNotMatch", 403, kSkew},
    {"AuthFailure", 401, kSkew},
};

template <size_t kCount>
void CheckRows(const Row (&rows)[kCount]) {
  for (const Row& row : rows) {
    INFO(row.code);
    const ServiceError error = ClassifyResponse(JsonError(row.status, row.code));
    CHECK(ErrorClassName(error.error_class) == ErrorClassName(row.error_class));
    CHECK(error.code == row.code);
    CHECK(error.message == "why");
    CHECK(error.http_status == row.status);
  }
}

TEST_CASE("each code says what to do next", "[aws][error]") {
  SECTION("of Kinesis") { CheckRows(kKinesis); }
  SECTION("of SQS, under both names") { CheckRows(kSqs); }
  SECTION("of any service") { CheckRows(kCommon); }
}

TEST_CASE("a code decides whatever the status is", "[aws][error]") {
  for (const int status : {400, 403, 404, 500, 503}) {
    CHECK(ClassifyResponse(JsonError(status, "InvalidMessageContents")).error_class == kPermanent);
    CHECK(ClassifyResponse(JsonError(status, "ThrottlingException")).error_class == kThrottled);
  }
}

TEST_CASE("a text decides nothing", "[aws][error]") {
  const HttpResponse answer =
      Answer(400, R"({"__type":"ValidationException","message":"Signature expired: throttled"})");
  CHECK(ClassifyResponse(answer).error_class == kPermanent);
}

TEST_CASE("a code comes without its namespace and URL", "[aws][error]") {
  for (const char* type : {"com.amazonaws.sqs#QueueDoesNotExist",
                           "QueueDoesNotExist:http://internal.amazon.com/coral/",
                           "com.amazonaws.sqs#QueueDoesNotExist:http://x/"}) {
    INFO(type);
    const ServiceError error = ClassifyResponse(JsonError(400, type));
    CHECK(error.code == "QueueDoesNotExist");
    const HttpResponse in_header = Answer(400, "{}", {{"x-amzn-errortype", type}});
    CHECK(ClassifyResponse(in_header).code == error.code);
  }
}

TEST_CASE("the header's code goes before the body's", "[aws][error]") {
  const HttpResponse answer = Answer(400, R"({"__type":"ValidationException"})",
                                     {{"X-Amzn-ErrorType", "ThrottlingException:http://x/"}});
  CHECK(ClassifyResponse(answer).code == "ThrottlingException");
}

TEST_CASE("the older name of an SQS error is understood where the newer is not",
          "[aws][error]") {
  const HttpResponse answer =
      Answer(400, R"({"__type":"NewNameOfIt"})",
             {{"x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender"}});
  const ServiceError error = ClassifyResponse(answer);
  CHECK(error.error_class == kNotFound);
  CHECK(error.code == "AWS.SimpleQueueService.NonExistentQueue");
}

TEST_CASE("an answer without a code is judged by its status", "[aws][error]") {
  struct StatusRow {
    int status;
    ErrorClass error_class;
  };
  const StatusRow rows[] = {{301, kRetryable}, {400, kRetryable}, {401, kDenied},
                            {403, kDenied},    {404, kNotFound},  {407, kDenied},
                            {408, kRetryable}, {413, kOversize},  {418, kRetryable},
                            {429, kThrottled}, {500, kRetryable}, {502, kRetryable},
                            {503, kRetryable}, {504, kRetryable}, {599, kRetryable}};
  for (const StatusRow& row : rows) {
    for (const char* body : {"", "<html>proxy</html>", "{", "[]", "null", "{\"__type\":7}"}) {
      INFO(row.status << " " << body);
      const ServiceError error = ClassifyResponse(Answer(row.status, body));
      CHECK(error.error_class == row.error_class);
      CHECK(error.code.empty());
    }
  }
}

TEST_CASE("no page of a bystander condemns a record", "[aws][error]") {
  for (int status = 100; status < 600; ++status) {
    INFO(status);
    CHECK(ClassifyResponse(Answer(status, "<html>")).error_class != kPermanent);
  }
}

TEST_CASE("a code that nobody knows is judged by its status, and never condemns a record",
          "[aws][error]") {
  CHECK(ClassifyResponse(JsonError(400, "BrandNewException")).error_class == kDenied);
  CHECK(ClassifyResponse(JsonError(403, "BrandNewException")).error_class == kDenied);
  CHECK(ClassifyResponse(JsonError(404, "BrandNewException")).error_class == kNotFound);
  CHECK(ClassifyResponse(JsonError(429, "BrandNewException")).error_class == kThrottled);
  CHECK(ClassifyResponse(JsonError(500, "BrandNewException")).error_class == kRetryable);
}

TEST_CASE("what is wrong with the account or the target condemns no record", "[aws][error]") {
  for (const char* code :
       {"SubscriptionRequiredException", "OptInRequired", "AccountProblem", "InvalidClientTokenId",
        "MissingParameter", "InvalidQueryParameter", "ResourceInUseException"}) {
    for (const int status : {400, 402, 403, 404, 409, 422}) {
      INFO(code << " " << status);
      CHECK(ClassifyResponse(JsonError(status, code)).error_class != kPermanent);
      CHECK(ClassifyResponse(JsonError(status, code)).error_class != kOversize);
    }
    CHECK(ClassifySqsEntry(code, "", true).error_class != kPermanent);
  }
}

TEST_CASE("an error keeps the service's hint and its request id", "[aws][error]") {
  const ServiceError error = ClassifyResponse(
      Answer(503, "", {{"X-Amz-Retry-After", "1500"}, {"X-Amzn-RequestId", "r-1"}}));
  CHECK(error.retry_after == absl::Milliseconds(1500));
  CHECK(error.request_id == "r-1");
  for (const char* hint : {"", "soon", "-1", "1.5", "99999999999999999999"}) {
    INFO(hint);
    CHECK(ClassifyResponse(Answer(503, "", {{"x-amz-retry-after", hint}})).retry_after ==
          std::nullopt);
  }
}

TEST_CASE("Message is read where message is absent", "[aws][error]") {
  CHECK(ClassifyResponse(Answer(400, R"({"__type":"X","Message":"y"})")).message == "y");
  CHECK(ClassifyResponse(Answer(400, R"({"__type":"X","message":null,"Message":"y"})")).message ==
        "y");
  CHECK(ClassifyResponse(Answer(400, R"({"message":")" + std::string(5000, 'x') + "\"}"))
            .message.size() == 1024);
}

TEST_CASE("the canonical request that AWS quotes stays out of messages", "[aws][error]") {
  const ServiceError error = ClassifyResponse(Answer(
      403, R"({"__type":"InvalidSignatureException","message":"Does not match.\n\nThe Canonical )"
           R"(String should have been\n'POST\n/\n\nx-amz-security-token:TOKEN'"})"));
  CHECK(error.message == "Does not match.");
}

TEST_CASE("a failed record of PutRecords may always be sent again", "[aws][error]") {
  CHECK(ClassifyKinesisEntry("ProvisionedThroughputExceededException", "").error_class ==
        kThrottled);
  CHECK(ClassifyKinesisEntry("InternalFailure", "").error_class == kRetryable);
  CHECK(ClassifyKinesisEntry("ValidationException", "").error_class == kRetryable);
  CHECK(ClassifyKinesisEntry("BrandNew", "why").message == "why");
}

TEST_CASE("a failed message of a batch is judged by code and fault", "[aws][error]") {
  CHECK(ClassifySqsEntry("InternalError", "", false).error_class == kRetryable);
  CHECK(ClassifySqsEntry("BrandNew", "", false).error_class == kRetryable);
  CHECK(ClassifySqsEntry("BrandNew", "", true).error_class == kDenied);
  CHECK(ClassifySqsEntry("InvalidMessageContents", "", true).error_class == kPermanent);
  CHECK(ClassifySqsEntry("InvalidParameterValue", "", false).error_class == kRetryable);
  CHECK(ClassifySqsEntry("RequestThrottled", "", true).error_class == kThrottled);
  CHECK(ClassifySqsEntry("KMS.DisabledException", "", true).error_class == kDenied);
}

TEST_CASE("a denied access may be a wrong clock, a missing queue may not", "[aws][error]") {
  CHECK(MayBeClockSkew(ClassifyResponse(JsonError(400, "AccessDeniedException"))));
  CHECK(MayBeClockSkew(ClassifyResponse(JsonError(400, "InvalidSignatureException"))));
  CHECK_FALSE(MayBeClockSkew(ClassifyResponse(JsonError(400, "QueueDoesNotExist"))));
  CHECK_FALSE(MayBeClockSkew(ClassifyResponse(Answer(403, ""))));
}

TEST_CASE("a status names the call, the code and the request", "[aws][error]") {
  const ServiceError error =
      ClassifyResponse(Answer(400, R"({"__type":"ResourceNotFoundException","message":"No s"})",
                              {{"x-amzn-RequestId", "r-1"}}));
  const absl::Status status = ToStatus("kinesis PutRecords", error);
  CHECK(absl::IsNotFound(status));
  CHECK(std::string(status.message()) ==
        "kinesis PutRecords: HTTP 400 ResourceNotFoundException: No s (request r-1)");
  CHECK(absl::IsUnavailable(ToStatus("x", ClassifyResponse(Answer(503, "")))));
  CHECK(absl::IsPermissionDenied(ToStatus("x", ClassifyResponse(Answer(403, "")))));
}

}  // namespace
}  // namespace eddy::aws
