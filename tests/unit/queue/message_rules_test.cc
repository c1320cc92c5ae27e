#include "src/queue/message_rules.h"

#include <string>

#include <catch2/catch_test_macros.hpp>

namespace eddy::queue {
namespace {

using namespace std::string_literals;

TEST_CASE("bodies that SQS takes are taken", "[queue][input]") {
  for (const std::string& body :
       {"a"s, "\t\n\r"s, " "s, "\x7f"s, "\xc2\x80"s, "\u00e9\u20ac"s, "\xed\x9f\xbf"s /* D7FF */,
        "\xee\x80\x80"s /* E000 */, "\xef\xbf\xbd"s /* FFFD */, "\xf0\x90\x80\x80"s /* 10000 */,
        "\xf4\x8f\xbf\xbf"s /* 10FFFF */, std::string(1024, 'x')}) {
    INFO(body);
    CHECK(CheckBody(body, 1024).ok());
  }
}

TEST_CASE("bodies that SQS refuses are refused, and the message says where",
          "[queue][input]") {
  struct Row {
    std::string body;
    const char* says;
  };
  const Row rows[] = {
      {"", "0 bytes"},
      {std::string(1025, 'x'), "1025 bytes: 1 to 1024"},
      {"ab\x01", "U+0001 at byte 2"},
      {"a\0b"s, "U+0000 at byte 1"},
      {"\x0b", "U+000B"},
      {"\x1f", "U+001F"},
      {"\xef\xbf\xbe", "U+FFFE at byte 0"},
      {"\xef\xbf\xbf", "U+FFFF"},
      {"x\x80", "not UTF-8 at byte 1"},           // a continuation alone
      {"\xc0\x80", "not UTF-8 at byte 0"},        // overlong NUL
      {"\xc1\xbf", "not UTF-8"},                  // overlong
      {"\xe0\x9f\xbf", "not UTF-8"},              // overlong
      {"\xf0\x8f\xbf\xbf", "not UTF-8"},          // overlong
      {"\xed\xa0\x80", "not UTF-8"},              // a surrogate
      {"\xf4\x90\x80\x80", "not UTF-8"},          // above 10FFFF
      {"\xf5\x80\x80\x80", "not UTF-8"},
      {"\xff", "not UTF-8"},
      {"abc\xe2\x82", "not UTF-8 at byte 3"},     // cut
      {"\xe2\x28\xa1", "not UTF-8"},
  };
  for (const Row& row : rows) {
    const absl::Status status = CheckBody(row.body, 1024);
    INFO(status.ToString() << " should say " << row.says);
    CHECK(absl::IsInvalidArgument(status));
    CHECK(std::string(status.message()).find(row.says) != std::string::npos);
  }
}

TEST_CASE("queue names are 1 to 80 of letters, digits, hyphen and underscore",
          "[queue][input]") {
  for (const std::string& name : {"a"s, "Jobs-2_x"s, std::string(80, 'q')}) {
    CHECK(CheckQueueName(name).ok());
  }
  for (const std::string& name : {""s, std::string(81, 'q'), "a.fifo"s, "a b"s, "\u00e9"s,
                                  "a/b"s, "a\0b"s}) {
    INFO(name);
    CHECK(absl::IsInvalidArgument(CheckQueueName(name)));
  }
}

TEST_CASE("queue options out of range are refused by name", "[queue][input]") {
  struct Row {
    const char* name;
    void (*spoil)(QueueOptions&);
  };
  const Row rows[] = {
      {"visibility_timeout", [](QueueOptions& o) { o.visibility_timeout = -absl::Seconds(1); }},
      {"visibility_timeout", [](QueueOptions& o) { o.visibility_timeout = absl::Hours(13); }},
      {"visibility_timeout",
       [](QueueOptions& o) { o.visibility_timeout = absl::InfiniteDuration(); }},
      {"delay", [](QueueOptions& o) { o.delay = absl::Seconds(901); }},
      {"delay", [](QueueOptions& o) { o.delay = -absl::Nanoseconds(1); }},
      {"receive_wait_time", [](QueueOptions& o) { o.receive_wait_time = absl::Seconds(21); }},
      {"message_bytes_max", [](QueueOptions& o) { o.message_bytes_max = 1023; }},
      {"message_bytes_max", [](QueueOptions& o) { o.message_bytes_max = (1 << 20) + 1; }},
      {"max_receive_count", [](QueueOptions& o) { o.max_receive_count = 0; }},
      {"max_receive_count", [](QueueOptions& o) { o.max_receive_count = 1001; }},
  };
  CHECK(CheckQueueOptions(QueueOptions()).ok());
  for (const Row& row : rows) {
    QueueOptions options;
    row.spoil(options);
    const absl::Status status = CheckQueueOptions(options);
    INFO(status.ToString());
    CHECK(absl::IsInvalidArgument(status));
    CHECK(std::string(status.message()).find(row.name) == 0);
  }
}

}  // namespace
}  // namespace eddy::queue
