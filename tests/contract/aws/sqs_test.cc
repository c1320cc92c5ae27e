// The requests and answers of SQS, as its API reference has them.
#include "src/aws/sqs.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "src/aws/json.h"

namespace eddy::aws::sqs {
namespace {

using namespace std::string_literals;

const Endpoint kEndpoint = {"http://localhost:4566", "us-east-1", "sqs"};
constexpr char kQueueUrl[] = "http://localhost:4566/000000000000/jobs";

Message WithBody(std::string_view body) {
  Message message;
  message.id = "0";
  message.body = body;
  return message;
}

Message WithAttribute(std::string_view name, std::string_view type, std::string_view value) {
  Message message = WithBody("b");
  message.attributes = {{name, type, value}};
  return message;
}

std::vector<Message> WithIds(const std::vector<std::string_view>& ids) {
  std::vector<Message> messages;
  for (const std::string_view id : ids) {
    messages.push_back(WithBody("b"));
    messages.back().id = id;
  }
  return messages;
}

TEST_CASE("a batch is JSON 1.0 to the root of the endpoint", "[aws][sqs]") {
  std::vector<Message> messages(2);
  messages[0].id = "0";
  messages[0].body = "line\nbreak \"q\" \xf0\x9f\x9a\xb0";
  messages[0].delay_seconds = 0;
  messages[1].id = "one_1-x";
  messages[1].body = "b";
  messages[1].group_id = "g";
  messages[1].deduplication_id = "d";
  messages[1].attributes = {{"n", "Number.int", "42"},
                            {"b", "Binary.png", std::string_view("\x00\xff", 2)}};
  const HttpRequest request = EncodeSendMessageBatch(kEndpoint, kQueueUrl, messages);
  CHECK(request.method == "POST");
  CHECK(request.url == "http://localhost:4566/");
  REQUIRE(request.headers.size() == 2);
  CHECK(request.headers[0].value == "application/x-amz-json-1.0");
  CHECK(request.headers[1].value == "AmazonSQS.SendMessageBatch");
  CHECK(request.body ==
        R"({"QueueUrl":"http://localhost:4566/000000000000/jobs","Entries":[)"
        "{\"Id\":\"0\",\"MessageBody\":\"line\\nbreak \\\"q\\\" \xf0\x9f\x9a\xb0\",\"DelaySeconds\":0},"
        R"({"Id":"one_1-x","MessageBody":"b","MessageAttributes":{)"
        R"("n":{"StringValue":"42","DataType":"Number.int"},)"
        R"("b":{"BinaryValue":"AP8=","DataType":"Binary.png"}},)"
        R"("MessageGroupId":"g","MessageDeduplicationId":"d"}]})");
}

TEST_CASE("a queue's URL keeps its path and takes the endpoint's host", "[aws][sqs]") {
  CHECK(EncodeGetQueueUrl(kEndpoint, "jobs").body == R"({"QueueName":"jobs"})");
  CHECK(EncodeGetQueueUrl(kEndpoint, "jobs", "123456789012").body ==
        R"({"QueueName":"jobs","QueueOwnerAWSAccountId":"123456789012"})");
  for (const char* answer :
       {R"({"QueueUrl":"http://sqs.us-east-1.localhost.example:4566/000000000000/jobs"})",
        R"({"QueueUrl":"https://us-east-1.queue.amazonaws.com/000000000000/jobs"})",
        R"({"QueueUrl":"http://localhost:4566/000000000000/jobs"})"}) {
    INFO(answer);
    const auto url = DecodeGetQueueUrl(kEndpoint, answer);
    REQUIRE(url.ok());
    CHECK(*url == kQueueUrl);
  }
  for (const char* answer : {"{}", "", R"({"QueueUrl":""})", R"({"QueueUrl":"jobs"})",
                             R"({"QueueUrl":"http://h"})", R"({"QueueUrl":"http://h/"})"}) {
    INFO(answer);
    CHECK(absl::IsUnknown(DecodeGetQueueUrl(kEndpoint, answer).status()));
  }
}

TEST_CASE("a queue says how large its messages may be", "[aws][sqs]") {
  const HttpRequest request = EncodeGetQueueAttributes(kEndpoint, kQueueUrl);
  CHECK(request.headers[1].value == "AmazonSQS.GetQueueAttributes");
  CHECK(request.body == R"({"QueueUrl":"http://localhost:4566/000000000000/jobs",)"
                        R"("AttributeNames":["All"]})");
  const auto queue = DecodeGetQueueAttributes(
      R"({"Attributes":{"MaximumMessageSize":"1024","FifoQueue":"true",
          "ContentBasedDeduplication":"false","DelaySeconds":"0"}})");
  REQUIRE(queue.ok());
  CHECK(queue->message_bytes_max == 1024);
  CHECK(queue->is_fifo);
  CHECK_FALSE(queue->content_based_deduplication);

  SECTION("or does not") {
    for (const char* answer :
         {"{}", R"({"Attributes":{}})", R"({"Attributes":{"MaximumMessageSize":"many"}})",
          R"({"Attributes":{"MaximumMessageSize":"0"}})", R"({"Attributes":null})"}) {
      INFO(answer);
      const auto unread = DecodeGetQueueAttributes(answer);
      REQUIRE(unread.ok());
      CHECK_FALSE(unread->message_bytes_max.has_value());
      CHECK_FALSE(unread->is_fifo);
    }
  }
  SECTION("never more than SQS takes") {
    CHECK(DecodeGetQueueAttributes(R"({"Attributes":{"MaximumMessageSize":"99999999"}})")
              ->message_bytes_max == 1048576);
  }
  SECTION("and an answer that is none is unknown") {
    CHECK(absl::IsUnknown(DecodeGetQueueAttributes("[]").status()));
  }
}

TEST_CASE("results are matched by id, whatever their order", "[aws][sqs]") {
  const auto results = DecodeSendMessageBatch(
      R"({"Successful":[
            {"Id":"c","MessageId":"m-c","MD5OfMessageBody":"x","SequenceNumber":"188"},
            {"Id":"a","MessageId":"m-a","MD5OfMessageBody":"y","MD5OfMessageAttributes":"z"}],
          "Failed":[{"Id":"b","SenderFault":true,"Code":"InvalidMessageContents","Message":"m"},
                    {"Id":"d","SenderFault":false,"Code":"InternalError"}]})",
      WithIds({"a", "b", "c", "d"}));
  REQUIRE(results.ok());
  REQUIRE(results->size() == 4);
  CHECK((*results)[0].outcome == Outcome::kStored);
  CHECK((*results)[0].message_id == "m-a");
  CHECK((*results)[0].md5_of_body == "y");
  CHECK((*results)[0].md5_of_attributes == "z");
  CHECK((*results)[1].outcome == Outcome::kFailed);
  CHECK((*results)[1].error.error_class == ErrorClass::kPermanentRequest);
  CHECK((*results)[1].error.code == "InvalidMessageContents");
  CHECK((*results)[2].outcome == Outcome::kStored);
  CHECK((*results)[2].sequence_number == "188");
  CHECK((*results)[3].outcome == Outcome::kFailed);
  CHECK((*results)[3].error.error_class == ErrorClass::kRetryable);
}

TEST_CASE("a message that the answer forgets, or mentions twice, is unknown", "[aws][sqs]") {
  const std::vector<Message> messages = WithIds({"a", "b"});
  for (const char* answer :
       {"{}", R"({"Successful":[]})", R"({"Successful":null,"Failed":null})",
        R"({"Successful":[{"Id":"b"},{"Id":"stranger"}]})",
        R"({"Successful":[{"Id":"b"},{"Id":"a"},{"Id":"a"}]})",
        R"({"Successful":[{"Id":"a"},{"Id":"b"}],"Failed":[{"Id":"a","Code":"x"}]})",
        R"({"Successful":[{"Id":7},null,3,{}]})", R"({"Successful":{"Id":"a"}})"}) {
    INFO(answer);
    const auto results = DecodeSendMessageBatch(answer, messages);
    REQUIRE(results.ok());
    REQUIRE(results->size() == 2);
    CHECK((*results)[0].outcome == Outcome::kUnknown);
    CHECK((*results)[0].message_id.empty());
  }
}

TEST_CASE("an answer cut anywhere leaves all unknown", "[aws][sqs]") {
  const std::string body = R"({"Successful":[{"Id":"a","MessageId":"m"}]})";
  const std::vector<Message> messages = WithIds({"a"});
  REQUIRE(DecodeSendMessageBatch(body, messages).ok());
  for (size_t bytes = 0; bytes < body.size(); ++bytes) {
    INFO(body.substr(0, bytes));
    CHECK(absl::IsUnknown(DecodeSendMessageBatch(body.substr(0, bytes), messages).status()));
  }
}

TEST_CASE("bodies hold the characters of XML and no others", "[aws][sqs]") {
  for (const std::string& body :
       {"a"s, "\t\n\r"s, "\x7f"s, "\xed\x9f\xbf"s /* D7FF */, "\xee\x80\x80"s /* E000 */,
        "\xef\xbf\xbd"s /* FFFD */, "\xf0\x90\x80\x80"s, "\xf4\x8f\xbf\xbf"s /* 10FFFF */}) {
    CHECK(CheckMessage(WithBody(body)).ok());
  }
  for (const std::string& body :
       {""s, "\0"s, "\x08"s, "\x0b"s, "\x0c"s, "\x1f"s, "\xef\xbf\xbe"s /* FFFE */,
        "\xef\xbf\xbf"s /* FFFF */, "\xed\xa0\x80"s /* D800 */, "\xff"s, "a\xc3"s,
        "\xc0\x80"s}) {
    CHECK(absl::IsInvalidArgument(CheckMessage(WithBody(body))));
  }
  CHECK(CheckMessage(WithBody("ab\x01")).message() ==
        "the body has U+0001 at byte 2, which SQS refuses");
}

TEST_CASE("a message's size is its body and all of its attributes", "[aws][sqs]") {
  Message message = WithAttribute("name", "String", "value");
  CHECK(MessageBytes(message) == 1 + 4 + 6 + 5);
  CHECK(CheckMessage(message, 16).ok());
  CHECK(absl::IsInvalidArgument(CheckMessage(message, 15)));
}

TEST_CASE("attributes keep the rules of SQS", "[aws][sqs]") {
  for (const char* name : {"a", "A-b_c.d", "AWSTrace", "amazonia", "aw.s"}) {
    INFO(name);
    CHECK(CheckMessage(WithAttribute(name, "String", "v")).ok());
  }
  for (const std::string& name : {""s, ".a"s, "a."s, "a..b"s, "a b"s, "AWS.x"s, "aws.x"s,
                                  "Amazon.x"s, "aMaZoN.x"s, std::string(257, 'a')}) {
    INFO(name);
    CHECK(absl::IsInvalidArgument(CheckMessage(WithAttribute(name, "String", "v"))));
  }
  for (const char* type : {"String", "Number", "Binary", "String.x", "Number.int", "Binary.png"}) {
    INFO(type);
    CHECK(CheckMessage(WithAttribute("a", type, "1")).ok());
  }
  for (const char* type : {"", "string", "Foo", "Strings", ".String"}) {
    INFO(type);
    CHECK(absl::IsInvalidArgument(CheckMessage(WithAttribute("a", type, "1"))));
  }
  CHECK(absl::IsInvalidArgument(CheckMessage(WithAttribute("a", "String", ""))));
  CHECK(absl::IsInvalidArgument(CheckMessage(WithAttribute("a", "String", "\x01"))));
  CHECK(CheckMessage(WithAttribute("a", "Binary", "\x01")).ok());

  Message twice = WithAttribute("a", "String", "1");
  twice.attributes.push_back({"a", "String", "2"});
  CHECK(absl::IsInvalidArgument(CheckMessage(twice)));
  Message many = WithBody("b");
  const std::string names = "abcdefghijk";
  for (size_t i = 0; i < 11; ++i) {
    CHECK(CheckMessage(many).ok());
    many.attributes.push_back({std::string_view(names).substr(i, 1), "String", "v"});
  }
  CHECK(absl::IsInvalidArgument(CheckMessage(many)));
}

TEST_CASE("ids and delays keep the rules of SQS", "[aws][sqs]") {
  const auto with = [](auto change) {
    Message message = WithBody("b");
    change(message);
    return CheckMessage(message);
  };
  CHECK(with([](Message& m) { m.delay_seconds = 900; }).ok());
  CHECK(absl::IsInvalidArgument(with([](Message& m) { m.delay_seconds = 901; })));
  CHECK(absl::IsInvalidArgument(with([](Message& m) { m.delay_seconds = -1; })));
  CHECK(with([](Message& m) { m.group_id = "a!~/\\\""; }).ok());
  CHECK(absl::IsInvalidArgument(with([](Message& m) { m.group_id = "a b"; })));
  CHECK(absl::IsInvalidArgument(with([](Message& m) { m.deduplication_id = "\xc3\xa9"; })));
  const std::string long_id(129, 'x');
  CHECK(absl::IsInvalidArgument(with([&](Message& m) { m.deduplication_id = long_id; })));
  CHECK(absl::IsInvalidArgument(with([](Message& m) { m.id = ""; })));
  CHECK(absl::IsInvalidArgument(with([](Message& m) { m.id = "a.b"; })));
  CHECK(absl::IsInvalidArgument(with([&](Message& m) { m.id = long_id; })));
}

}  // namespace
}  // namespace eddy::aws::sqs
