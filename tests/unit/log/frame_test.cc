#include "src/log/frame.h"

#include <cstring>
#include <string>

#include <catch2/catch_test_macros.hpp>

namespace eddy::log {
namespace {

std::string Written(const FrameParts& parts, uint64_t position, uint64_t salt) {
  std::string bytes(AlignFrame(parts.Bytes()), '\x55');
  const uint32_t word0 = FillFrame(parts, position, salt, bytes.data());
  std::memcpy(bytes.data(), &word0, sizeof(word0));
  return bytes;
}

FrameParts Sample() {
  FrameParts parts;
  parts.kind = 63;
  parts.time_ms = 1700000000123;
  parts.time_trusted = true;
  parts.key = "pump-7";
  parts.head = "HD";
  parts.body = "payload";
  return parts;
}

TEST_CASE("a frame is read back as it was written", "[log][frame]") {
  const std::string bytes = Written(Sample(), 4096, 99);
  FrameView view;
  REQUIRE(ParseFrame(bytes.data(), bytes.size(), 4096, &view));
  CHECK(view.position == 4096);
  CHECK(view.end == 4096 + bytes.size());
  CHECK(view.kind == 63);
  CHECK(view.time_ms == 1700000000123);
  CHECK(view.time_trusted);
  CHECK(view.key == "pump-7");
  CHECK(view.body == "HDpayload");
}

TEST_CASE("a frame costs 16 bytes beside key and body, and up to 3 of alignment", "[log][frame]") {
  FrameParts parts;
  CHECK(Written(parts, 0, 0).size() == 16);
  parts.body = "x";
  CHECK(Written(parts, 0, 0).size() == 20);
  parts.key = "abc";
  CHECK(Written(parts, 0, 0).size() == 20);
}

TEST_CASE("a frame matches only its own position and salt", "[log][frame]") {
  const std::string bytes = Written(Sample(), 4096, 99);
  CHECK(FrameMatches(bytes.data(), bytes.size(), 4096, 99));
  CHECK_FALSE(FrameMatches(bytes.data(), bytes.size(), 4100, 99));
  CHECK_FALSE(FrameMatches(bytes.data(), bytes.size(), 4096, 98));
}

TEST_CASE("a frame with any one byte changed no longer matches", "[log][frame]") {
  const std::string bytes = Written(Sample(), 64, 1);
  FrameView view;
  REQUIRE(ParseFrame(bytes.data(), bytes.size(), 64, &view));
  const size_t size = kFrameHeaderBytes + view.key.size() + view.body.size();
  for (size_t i = 0; i < size; ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    INFO("byte " << i);
    CHECK_FALSE(FrameMatches(damaged.data(), damaged.size(), 64, 1));
  }
}

TEST_CASE("a frame cut short is not parsed, whatever its size word claims", "[log][frame]") {
  const std::string bytes = Written(Sample(), 64, 1);
  FrameView view;
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string part = bytes.substr(0, size);
    CHECK_FALSE(ParseFrame(part.data(), part.size(), 64, &view));
  }
}

}  // namespace
}  // namespace eddy::log
