// Signatures that AWS published, and two that were computed elsewhere, as known
// answers that are always there. The whole suite: sigv4_vectors_test.cc.
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "src/aws/sigv4.h"
#include "src/aws/text.h"

namespace eddy::aws {
namespace {

constexpr char kSecret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

struct KnownAnswer {
  const char* name;
  const char* service;
  HttpRequest request;
  std::string token;
  bool normalize = true;
  bool body_header = false;
  bool sign_token = true;
  const char* canonical_hash;  // null: the suite publishes the text instead
  const char* signature;
};

HttpRequest Request(std::string method, std::string url, std::vector<HttpHeader> headers = {},
                    std::string body = "") {
  HttpRequest request;
  request.method = std::move(method);
  request.url = std::move(url);
  request.headers = std::move(headers);
  request.body = std::move(body);
  return request;
}

const std::vector<KnownAnswer>& KnownAnswers() {
  static const auto* answers = new std::vector<KnownAnswer>{
      {"get-vanilla", "service", Request("GET", "https://example.amazonaws.com/"), "", true, false,
       true, "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63",
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"a call of Kinesis with a session token", "kinesis",
       Request("POST", "https://kinesis.us-east-1.amazonaws.com",
               {{"Content-Type", "application/x-amz-json-1.1"},
                {"X-Amz-Target", "Kinesis_20131202.DescribeStreamSummary"}},
               R"({"StreamName":"s"})"),
       "TOKEN", true, false, true,
       "06a9753eb867ee330a5bcff10525511eb1fa7d0809b17928119cc7ef09130ee1",
       "77b1b786a80d2d1b846221c7c2245ab94a7c75dc8c79169a5bf5744e8acde2e7"},
      {"get-vanilla-with-session-token", "service",
       Request("GET", "https://example.amazonaws.com/"),
       "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267", true, false, true,
       nullptr, "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
      {"get-header-value-trim", "service",
       Request("GET", "https://example.amazonaws.com/",
               {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}),
       "", true, false, true, nullptr,
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"get-header-key-duplicate", "service",
       Request("GET", "https://example.amazonaws.com/",
               {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}),
       "", true, false, true, nullptr,
       "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
      {"get-vanilla-query-order-encoded", "service",
       Request("GET",
               "https://example.amazonaws.com/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1"),
       "", true, false, true, nullptr,
       "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
      {"get-relative-relative-normalized", "service",
       Request("GET", "https://example.amazonaws.com/example1/example2/../.."), "", true, false,
       true, nullptr, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-space-unnormalized", "service",
       Request("GET", "https://example.amazonaws.com/example space/"), "", false, false, true,
       nullptr, "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
      {"post-x-www-form-urlencoded", "service",
       Request("POST", "https://example.amazonaws.com/",
               {{"Content-Type", "application/x-www-form-urlencoded"}, {"Content-Length", "13"}},
               "Param1=value1"),
       "", true, true, true, nullptr,
       "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"},
      {"post-sts-header-after", "service", Request("POST", "https://example.amazonaws.com/"),
       "any token, since it is not signed", true, false, false, nullptr,
       "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
  };
  return *answers;
}

TEST_CASE("published requests get the published signatures", "[aws][sigv4]") {
  for (const KnownAnswer& answer : KnownAnswers()) {
    INFO(answer.name);
    SigningContext context;
    context.credentials = {"AKIDEXAMPLE", kSecret, answer.token, std::nullopt};
    context.region = "us-east-1";
    context.service = answer.service;
    context.now = absl::FromCivil(absl::CivilSecond(2015, 8, 30, 12, 36, 0), absl::UTCTimeZone());
    context.normalize_path = answer.normalize;
    context.sign_body_header = answer.body_header;
    context.sign_session_token = answer.sign_token;
    HttpRequest request = answer.request;

    const absl::StatusOr<SigningSteps> steps = SignRequest(context, nullptr, &request);

    REQUIRE(steps.ok());
    INFO(steps->canonical_request);
    if (answer.canonical_hash != nullptr) {
      CHECK(Hex(crypto::Sha256(steps->canonical_request)) == answer.canonical_hash);
    }
    CHECK(steps->signature == answer.signature);
  }
}

TEST_CASE("the signing key is the published one", "[aws][sigv4]") {
  CHECK(Hex(SigningKeys::Derive(kSecret, "20150830", "us-east-1", "kinesis")) ==
        "1a8ef0fa45f4fb9b8ca6c755f0b81c00b521d0e7b9564a363d2511b8f4d4bc54");
}

}  // namespace
}  // namespace eddy::aws
