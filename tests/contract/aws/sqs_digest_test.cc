// MD5 of bodies and attributes: known answers, some from answers of the service.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "src/aws/sqs.h"

namespace eddy::aws::sqs {
namespace {

TEST_CASE("the digest of attributes is the service's", "[aws][sqs]") {
  const MessageAttribute me = {"Help.Me", "String", "Me"};
  const MessageAttribute hello = {"Hello", "String", "There"};
  const MessageAttribute general = {"General", "String", "Kenobi"};
  CHECK(Md5OfAttributes({{"MyAttribute", "String", "foobar"}}) ==
        "adb59cd4678ea5a855436b949cd07ab6");
  CHECK(Md5OfAttributes({me, hello, general}) == "4c360f3fdafd970e05fae2f149d997f5");
  CHECK(Md5OfAttributes({general, hello}) == "fca026605781cb4126a1e9044df24232");
  CHECK(Md5OfAttributes({hello}) == "a311262e065454b75da111d535b8dacd");
  CHECK(Md5OfAttributes({{"n", "Number.int", "42"},
                         {"b", "Binary", std::string_view("\x00\xff", 2)}}) ==
        "63255b55496094813ee3ba9f8d619bfa");
  CHECK(Md5OfAttributes({{"AWSTraceHeader", "String",
                          "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;"
                          "Sampled=1"}}) == "5ae4d5d7636402d80f4eb6d213245a88");
  CHECK(Md5OfAttributes({}).empty());
}

TEST_CASE("the order of attributes does not change their digest", "[aws][sqs]") {
  std::vector<MessageAttribute> attributes = {
      {"Zulu", "String", "1"}, {"alpha", "String", "2"}, {"Alpha", "Binary.png", "3"}};
  const std::string digest = Md5OfAttributes(attributes);
  const auto by_value = [](const MessageAttribute& a, const MessageAttribute& b) {
    return a.value < b.value;
  };
  std::sort(attributes.begin(), attributes.end(), by_value);
  do {
    CHECK(Md5OfAttributes(attributes) == digest);
  } while (std::next_permutation(attributes.begin(), attributes.end(), by_value));
}

TEST_CASE("a type's label is part of the digest, its base decides the kind", "[aws][sqs]") {
  const std::string plain = Md5OfAttributes({{"n", "Number", "42"}});
  CHECK(Md5OfAttributes({{"n", "Number.int", "42"}}) != plain);
  CHECK(Md5OfAttributes({{"n", "String", "42"}}) != plain);
  CHECK(Md5OfAttributes({{"n", "Binary.int", "42"}}) != Md5OfAttributes({{"n", "Binary", "42"}}));
}

TEST_CASE("a message is verified by both digests", "[aws][sqs]") {
  Message message;
  message.body = "This is a test message";
  MessageResult result;
  result.md5_of_body = "fafb00f5732ab283681e124bf8747ed1";
  CHECK(VerifyDigests(message, result).ok());

  SECTION("or by what the answer holds: a digest that did not come is not a wrong one") {
    result.md5_of_body.clear();
    CHECK(VerifyDigests(message, result).ok());
  }
  SECTION("another body") {
    message.body = "This is a test messagf";
    CHECK(absl::IsDataLoss(VerifyDigests(message, result)));
  }
  SECTION("attributes that did not arrive") {
    message.attributes = {{"MyAttribute", "String", "foobar"}};
    CHECK(absl::IsDataLoss(VerifyDigests(message, result)));
    result.md5_of_attributes = "adb59cd4678ea5a855436b949cd07ab6";
    CHECK(VerifyDigests(message, result).ok());
  }
  SECTION("attributes that were not sent") {
    result.md5_of_attributes = "adb59cd4678ea5a855436b949cd07ab6";
    CHECK(absl::IsDataLoss(VerifyDigests(message, result)));
  }
}

}  // namespace
}  // namespace eddy::aws::sqs
