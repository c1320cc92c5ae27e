#include "src/aws/sigv4.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <thread>
#include <vector>

namespace eddy::aws {
namespace {

SigningContext Context() {
  SigningContext context;
  context.credentials = {"AKIDEXAMPLE", "SECRETSECRET", "", std::nullopt};
  context.region = "eu-west-1";
  context.service = "sqs";
  context.now = absl::FromUnixSeconds(1731000000);
  return context;
}

HttpRequest Request() {
  HttpRequest request;
  request.url = "http://localhost:4566/";
  request.headers = {{"Content-Type", "application/x-amz-json-1.0"}};
  request.body = "{}";
  return request;
}

std::vector<std::string> Names(const HttpRequest& request) {
  std::vector<std::string> names;
  for (const HttpHeader& header : request.headers) names.push_back(header.name);
  return names;
}

TEST_CASE("signing adds host, date and authorization", "[aws][sigv4]") {
  HttpRequest request = Request();
  const auto steps = SignRequest(Context(), nullptr, &request);
  REQUIRE(steps.ok());
  CHECK(Names(request) ==
        std::vector<std::string>{"Content-Type", "Host", "X-Amz-Date", "Authorization"});
  CHECK(request.headers[1].value == "localhost:4566");
  CHECK(request.headers[2].value == "20241107T172000Z");
  CHECK(request.headers[3].value ==
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20241107/eu-west-1/sqs/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, Signature=" +
            steps->signature);
}

TEST_CASE("each attempt is signed anew and leaves one of each header", "[aws][sigv4]") {
  SigningContext context = Context();
  context.credentials.session_token = "token-1";
  HttpRequest request = Request();
  const auto first = SignRequest(context, nullptr, &request);
  const std::vector<std::string> names = Names(request);

  context.now += absl::Seconds(1);
  context.credentials.session_token = "token-2";
  const auto second = SignRequest(context, nullptr, &request);

  REQUIRE(second.ok());
  CHECK(Names(request) == names);
  CHECK(second->signature != first->signature);
  CHECK(second->canonical_request.find("token-1") == std::string::npos);

  context.credentials.session_token.clear();
  REQUIRE(SignRequest(context, nullptr, &request).ok());
  CHECK(Names(request) ==
        std::vector<std::string>{"Content-Type", "Host", "X-Amz-Date", "Authorization"});
}

TEST_CASE("the secret appears nowhere", "[aws][sigv4]") {
  HttpRequest request = Request();
  const auto steps = SignRequest(Context(), nullptr, &request);
  REQUIRE(steps.ok());
  std::string all = steps->canonical_request + steps->string_to_sign + steps->authorization;
  for (const HttpHeader& header : request.headers) all += header.name + header.value;
  CHECK(all.find("SECRET") == std::string::npos);
}

TEST_CASE("what cannot be signed is left as it was", "[aws][sigv4]") {
  SigningContext context = Context();
  HttpRequest request = Request();
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
  SECTION("no secret") {
    context.credentials.secret_access_key.clear();
    code = absl::StatusCode::kUnauthenticated;
  }
  SECTION("no key id") {
    context.credentials.access_key_id.clear();
    code = absl::StatusCode::kUnauthenticated;
  }
  SECTION("a relative URL") { request.url = "/"; }
  SECTION("a line break in a header") { request.headers[0].value = "a\r\nX: y"; }
  SECTION("a header without a name") { request.headers[0].name.clear(); }
  SECTION("no time") { context.now = absl::InfiniteFuture(); }
  SECTION("a time before 1970") { context.now = absl::FromUnixSeconds(-1); }
  const std::vector<std::string> names = Names(request);
  CHECK(SignRequest(context, nullptr, &request).status().code() == code);
  CHECK(Names(request) == names);
}

TEST_CASE("a cached key signs as a fresh one does", "[aws][sigv4]") {
  SigningKeys keys;
  // More scopes than the cache holds, twice, so that entries come and go.
  for (int round = 0; round < 2; ++round) {
    for (int day = 0; day < 7; ++day) {
      for (const char* service : {"kinesis", "sqs"}) {
        SigningContext context = Context();
        context.now += absl::Hours(24 * day);
        context.service = service;
        HttpRequest request = Request();
        HttpRequest again = Request();
        const auto fresh = SignRequest(context, nullptr, &request);
        const auto cached = SignRequest(context, &keys, &again);
        CHECK(fresh->signature == cached->signature);
      }
    }
  }
}

TEST_CASE("a changed secret takes effect at once", "[aws][sigv4]") {
  SigningKeys keys;
  const auto before = keys.Get("secret-1", "20260101", "r", "s");
  CHECK(keys.Get("secret-2", "20260101", "r", "s") != before);
  CHECK(keys.Get("secret-1", "20260101", "r", "s") == before);
  CHECK(keys.Get("", "", "", "") == SigningKeys::Derive("", "", "", ""));
}

TEST_CASE("keys may be asked for by many threads", "[aws][sigv4]") {
  SigningKeys keys;
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&keys, &wrong, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string date = "2026010" + std::to_string(i % 6);
        if (keys.Get("s", date, "r", "sqs") != SigningKeys::Derive("s", date, "r", "sqs")) {
          ++wrong[t];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4));
}

}  // namespace
}  // namespace eddy::aws
