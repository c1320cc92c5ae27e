// The signing suite of aws-c-auth: one folder a case, with what goes in and every
// intermediate result. Left out is get-header-value-multiline: folded headers are
// obsolete, the suites disagree about them, and our requests cannot hold one.
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "src/aws/json.h"
#include "src/aws/sigv4.h"

namespace eddy::aws {
namespace {

namespace fs = std::filesystem;

constexpr char kFolded[] = "get-header-value-multiline";

std::string Folder() {
  if (const char* folder = std::getenv("EDDY_SIGV4_VECTORS")) return folder;
#ifdef EDDY_SIGV4_VECTORS_DEFAULT
  return EDDY_SIGV4_VECTORS_DEFAULT;
#else
  return "";
#endif
}

std::string Read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  INFO(path);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

// The line up to the next '\n', which is taken off, too.
std::string_view TakeLine(std::string_view* text) {
  const size_t end = text->find('\n');
  const std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return line;
}

// "GET /a b HTTP/1.1", header lines, and after an empty line the body.
HttpRequest ParseRequest(std::string_view text) {
  HttpRequest request;
  const std::string_view first = TakeLine(&text);
  const size_t method = first.find(' ');
  const size_t version = first.rfind(" HTTP/1.1");
  request.method = first.substr(0, method);
  std::string_view host;
  while (!text.empty()) {
    const std::string_view line = TakeLine(&text);
    if (line.empty()) break;
    const size_t colon = line.find(':');
    request.headers.push_back(
        {std::string(line.substr(0, colon)), std::string(line.substr(colon + 1))});
    if (line.substr(0, colon) == "Host") host = line.substr(colon + 1);
  }
  request.body = text;
  request.url = "https://" + std::string(host) +
                std::string(first.substr(method + 1, version - method - 1));
  return request;
}

SigningContext ParseContext(const std::string& text) {
  const absl::StatusOr<JsonDocument> document = JsonDocument::Parse(text);
  REQUIRE(document.ok());
  const JsonValue root = document->root();
  SigningContext context;
  context.credentials.access_key_id = root["credentials"]["access_key_id"].StringOrEmpty();
  context.credentials.secret_access_key = root["credentials"]["secret_access_key"].StringOrEmpty();
  context.credentials.session_token = root["credentials"]["token"].StringOrEmpty();
  context.region = root["region"].StringOrEmpty();
  context.service = root["service"].StringOrEmpty();
  context.normalize_path = root["normalize"].Bool().value();
  context.sign_body_header = root["sign_body"].Bool().value();
  context.sign_session_token = !root["omit_session_token"].Bool().value_or(false);
  std::string why;
  REQUIRE(absl::ParseTime(absl::RFC3339_full, root["timestamp"].StringOrEmpty(), &context.now,
                          &why));
  return context;
}

void CheckCase(const fs::path& folder) {
  INFO(folder.filename());
  const SigningContext context = ParseContext(Read(folder / "context.json"));
  HttpRequest request = ParseRequest(Read(folder / "request.txt"));

  const absl::StatusOr<SigningSteps> steps = SignRequest(context, nullptr, &request);

  REQUIRE(steps.ok());
  CHECK(steps->canonical_request == Read(folder / "header-canonical-request.txt"));
  CHECK(steps->string_to_sign == Read(folder / "header-string-to-sign.txt"));
  CHECK(steps->signature == Read(folder / "header-signature.txt"));
  const std::string signed_request = Read(folder / "header-signed-request.txt");
  CHECK(signed_request.find("\nAuthorization:" + steps->authorization + "\n") !=
        std::string::npos);
}

TEST_CASE("every vector of the signing suite gives its own signature", "[aws][sigv4]") {
  const std::string folder = Folder();
  if (folder.empty()) {
    SKIP("EDDY_SIGV4_VECTORS names no folder: the known answers alone hold the signer");
  }
  int cases = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (!entry.is_directory() || entry.path().filename() == kFolded) continue;
    CheckCase(entry.path());
    ++cases;
  }
  CHECK(cases >= 37);
}

}  // namespace
}  // namespace eddy::aws
