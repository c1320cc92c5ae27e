#include "tests/integration/peers.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include <catch2/catch_test_macros.hpp>
#include <unistd.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "src/base/strings.h"
#include "src/runtime/signal.h"
#include "tests/fakes/order_judge.h"

namespace eddy::integration {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  INFO(name << " is not set: run these tests through with_peers.sh");
  REQUIRE(value != nullptr);
  return value;
}

aws::JsonDocument Parse(const std::string& text) {
  auto document = aws::JsonDocument::Parse(text);
  INFO(text << document.status());
  REQUIRE(document.ok());
  return *std::move(document);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string Unescape(const std::string& base64) {
  std::string bytes;
  REQUIRE(absl::Base64Unescape(base64, &bytes));
  return bytes;
}

}  // namespace

Peers::Peers()
    : file_(Variable("EDDY_PEERS")),
      program_directory_(absl::StrCat(EDDY_SOURCE_DIR, "/tests/peers")),
      document_(Parse(ReadFile(file_))) {
  auto http = NewCurlTransport();
  REQUIRE(http.ok());
  http_ = *std::move(http);
  Restore("kinesis");
  Restore("sqs");
}

std::string Peers::Text(const std::string& service, const char* member) {
  return document_.root()[service][member].StringOrEmpty();
}

std::string Peers::Endpoint(const std::string& service) { return Text(service, "endpoint"); }
std::string Peers::region() { return document_.root()["region"].StringOrEmpty(); }
std::string Peers::ca_file() { return document_.root()["ca"].StringOrEmpty(); }

AwsCredentials Peers::Credentials(size_t index) {
  const aws::JsonValue found = document_.root()["credentials"][index];
  return {found["keyId"].StringOrEmpty(), found["secret"].StringOrEmpty(),
          found["token"].StringOrEmpty(), std::nullopt};
}

aws::JsonDocument Peers::Call(const std::string& url, const std::string& body) {
  HttpRequest request;
  request.method = body.empty() ? "GET" : "POST";
  request.url = url;
  request.body = body;
  const auto response = http_->Send(request);
  INFO(url << " " << body << " " << response.status());
  REQUIRE(response.ok());
  INFO(response->body);
  REQUIRE(response->status == 200);
  return Parse(response->body);
}

void Peers::OrderFront(const std::string& service, const std::string& json) {
  Call(Text(service, "frontControl"), json);
}

void Peers::OrderChaos(const std::string& service, const std::string& json) {
  Call(Text(service, "chaosControl"), json);
}

void Peers::Restore(const std::string& service) {
  OrderFront(service, R"([{"action":"restore"},{"action":"forget"}])");
  OrderChaos(service, R"([{"action":"restore"},{"action":"forget"}])");
}

int64_t Peers::Count(const std::string& service, const std::string& operation,
                     const std::string& counter) {
  const aws::JsonDocument report = Call(Text(service, "frontControl"), "");
  return report.root()["counters"][operation][counter].Int().value_or(0);
}

int64_t Peers::ChaosCount(const std::string& service, const std::string& counter) {
  return Call(Text(service, "chaosControl"), "").root()[counter].Int().value_or(0);
}

int64_t Peers::Rejected(const std::string& service) {
  const aws::JsonDocument report = Call(Text(service, "frontControl"), "");
  int64_t sum = 0;
  for (const char* operation : {"PutRecords", "GetQueueUrl", "GetQueueAttributes",
                                "SendMessageBatch", "unknown"}) {
    const aws::JsonValue counters = report.root()["counters"][operation];
    sum += counters["refused"].Int().value_or(0) + counters["invalid"].Int().value_or(0);
  }
  return sum;
}

std::string Peers::RunNode(const std::string& arguments) {
  const std::string command =
      absl::StrCat("cd '", program_directory_, "' && '", Variable("EDDY_NODE"), "' ", arguments);
  FILE* const pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  std::array<char, 65536> buffer;
  while (const size_t count = fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), count);
  }
  INFO(command << "\n" << output.substr(0, 1000));
  REQUIRE(pclose(pipe) == 0);
  return output;
}

void Peers::CreateStream(const std::string& name, uint32_t shard_count) {
  RunNode(absl::StrCat("admin.js '", file_, "' create-stream ", name, " ", shard_count));
}

void Peers::CreateQueue(const std::string& name, const std::string& attributes) {
  RunNode(absl::StrCat("admin.js '", file_, "' create-queue ", name, " ", attributes));
}

std::vector<std::pair<std::string, std::string>> Peers::ReadStream(const std::string& name) {
  std::vector<std::pair<std::string, std::string>> records;
  const std::string output = RunNode(absl::StrCat("readback.js '", file_, "' stream ", name));
  for (const absl::string_view line : absl::StrSplit(output, '\n', absl::SkipEmpty())) {
    const aws::JsonDocument record = Parse(std::string(line));
    records.emplace_back(record.root()["key"].StringOrEmpty(),
                         Unescape(record.root()["dataBase64"].StringOrEmpty()));
  }
  return records;
}

std::vector<std::string> Peers::ReadQueue(const std::string& name) {
  std::vector<std::string> bodies;
  const std::string output = RunNode(absl::StrCat("readback.js '", file_, "' queue ", name));
  for (const absl::string_view line : absl::StrSplit(output, '\n', absl::SkipEmpty())) {
    const aws::JsonDocument message = Parse(std::string(line));
    bodies.push_back(Unescape(message.root()["bodyBase64"].StringOrEmpty()));
  }
  return bodies;
}

Gateway::Gateway() {
  std::string path = (std::filesystem::temp_directory_path() / "eddy-integration-XXXXXX").string();
  REQUIRE(mkdtemp(path.data()) != nullptr);
  directory = path;
  OpenStore();

  credentials = NewStaticCredentials(peers.Credentials(0));
  options.region = peers.region();
  options.kinesis_endpoint = peers.Endpoint("kinesis");
  options.sqs_endpoint = peers.Endpoint("sqs");
  options.ca_file = peers.ca_file();
  options.retry_delay_max = absl::Milliseconds(500);
  options.request_timeout = absl::Seconds(10);
  route.linger = absl::Milliseconds(5);
}

Gateway::~Gateway() {
  forwarder.reset();
  store.reset();
  if (!expects_rejections) {
    CHECK(peers.Rejected("kinesis") == 0);
    CHECK(peers.Rejected("sqs") == 0);
  }
  std::error_code ignored;  // a directory left behind harms no test
  std::filesystem::remove_all(directory, ignored);
}

void Gateway::OpenStore() {
  auto opened = Store::Open(directory + "/store");
  INFO(opened.status());
  REQUIRE(opened.ok());
  store = *std::move(opened);
}

void Gateway::Restart() {
  forwarder.reset();
  store.reset();
  OpenStore();
}

std::string Gateway::CreateStream(uint32_t shard_count) {
  const std::string name = directory.substr(directory.rfind('/') + 1);
  peers.CreateStream(name, shard_count);
  StreamOptions stream;
  stream.shard_count = shard_count;
  REQUIRE(store->CreateStream(name, stream).ok());
  return name;
}

std::string Gateway::CreateQueue(const std::string& remote_attributes) {
  const std::string name = directory.substr(directory.rfind('/') + 1);
  peers.CreateQueue(name, remote_attributes);
  REQUIRE(store->CreateQueue(name).ok());
  return name;
}

void Gateway::Start() {
  options.credentials = credentials.get();
  auto created = Forwarder::Create(store.get(), options);
  INFO(created.status());
  REQUIRE(created.ok());
  forwarder = *std::move(created);
}

void Gateway::AddKinesisRoute(const std::string& name) {
  if (forwarder == nullptr) Start();
  const absl::Status added = forwarder->AddKinesisRoute(name, name, route);
  INFO(added);
  REQUIRE(added.ok());
}

void Gateway::AddSqsRoute(const std::string& name) {
  if (forwarder == nullptr) Start();
  const absl::Status added = forwarder->AddSqsRoute(name, name, route);
  INFO(added);
  REQUIRE(added.ok());
}

void Gateway::Put(const std::string& stream, const std::string& key, const std::string& more) {
  const std::string data = absl::StrCat(put[key]++, more.empty() ? "" : "/", more);
  const auto result = (*store->OpenStream(stream))->Put(key, data);
  INFO(result.status());
  REQUIRE(result.ok());
}

void Gateway::PutMany(const std::string& stream, int count, int key_count) {
  for (int i = 0; i < count; ++i) Put(stream, absl::StrCat("sensor-", i % key_count));
}

void Gateway::Send(const std::string& queue, const std::string& body) {
  const auto result = (*store->OpenQueue(queue))->Send(body);
  INFO(result.status());
  REQUIRE(result.ok());
  sent.push_back(body);
}

void Gateway::Pause(absl::Duration time) {
  Signal never(DefaultPlatform().clock);
  never.Wait(never.Epoch(), time);
}

void Gateway::WaitUntil(const std::string& what, const std::function<bool()>& holds,
                        absl::Duration most) {
  Clock& clock = *DefaultPlatform().clock;
  const absl::Duration deadline = clock.SinceBoot() + most;
  while (!holds()) {
    std::string state;
    for (const RouteStatus& status : forwarder->Status()) {
      absl::StrAppend(&state, "; ", status.name, " delivered ", status.records_delivered, ", ",
                      status.last_error.ToString());
    }
    INFO("waiting for " << what << state);
    REQUIRE(clock.SinceBoot() < deadline);
    Pause(absl::Milliseconds(5));
  }
}

void Gateway::WaitUntilDelivered(absl::Duration most) {
  uint64_t expected = sent.size();
  for (const auto& [key, count] : put) expected += static_cast<uint64_t>(count);
  WaitUntil("delivery", [&] {
    uint64_t done = 0;
    for (const RouteStatus& status : forwarder->Status()) {
      done += status.records_delivered + status.records_dead;
    }
    return done >= expected;
  }, most);
}

RouteStatus Gateway::Status(size_t route_index) { return forwarder->Status().at(route_index); }

RouteStatus Gateway::StatusTo(const std::string& service) {
  for (const RouteStatus& status : forwarder->Status()) {
    if (absl::StrContains(status.name, absl::StrCat(" -> ", service, ":"))) return status;
  }
  FAIL("no route to " << service);
  return {};
}

uint64_t Gateway::CheckStream(const std::string& name) {
  const testing::Judgement judgement = testing::Judge(put, peers.ReadStream(name));
  CHECK(judgement.missing == 0);
  CHECK(judgement.out_of_order == 0);
  CHECK(judgement.invented == 0);
  CHECK(judgement.twice <= StatusTo("kinesis").records_maybe_twice + twice_by_restarts);
  return judgement.twice;
}

uint64_t Gateway::CheckQueue(const std::string& name) {
  std::vector<std::string> arrived = peers.ReadQueue(name);
  std::vector<std::string> expected = sent;
  std::sort(arrived.begin(), arrived.end());
  std::sort(expected.begin(), expected.end());
  std::vector<std::string> unexpected;
  std::set_difference(arrived.begin(), arrived.end(), expected.begin(), expected.end(),
                      std::back_inserter(unexpected));
  // What is above its count was sent twice; what was never sent must not be there.
  for (const std::string& body : unexpected) {
    CHECK(std::binary_search(expected.begin(), expected.end(), body));
  }
  std::vector<std::string> missing;
  std::set_difference(expected.begin(), expected.end(), arrived.begin(), arrived.end(),
                      std::back_inserter(missing));
  CHECK(missing.empty());
  CHECK(unexpected.size() <= StatusTo("sqs").records_maybe_twice + twice_by_restarts);
  return unexpected.size();
}

}  // namespace eddy::integration
