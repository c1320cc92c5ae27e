#include "src/log/block_codec.h"

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include <catch2/catch_test_macros.hpp>

namespace eddy::log {
namespace {

constexpr int64_t kTime = 1'700'000'000'000;

// Frames as they lie in the intake.
class Run {
 public:
  Run& Add(std::string_view key, std::string_view body, int64_t time_ms = kTime, uint8_t kind = 0,
           bool trusted = true) {
    FrameParts parts;
    parts.kind = kind;
    parts.time_ms = time_ms;
    parts.time_trusted = trusted;
    parts.key = key;
    parts.body = body;
    std::string frame(AlignFrame(parts.Bytes()), '\x55');
    const uint32_t word0 = FillFrame(parts, 4096 + bytes_.size(), 77, frame.data());
    std::memcpy(frame.data(), &word0, sizeof(word0));
    bytes_ += frame;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

  // As a block holds them: without the checksums of the intake.
  std::string Unsigned() const {
    std::string bytes = bytes_;
    FrameView frame;
    for (size_t at = 0; at < bytes.size(); at = static_cast<size_t>(frame.end)) {
      REQUIRE(ParseFrame(bytes.data() + at, bytes.size() - at, at, &frame));
      std::memset(bytes.data() + at + 4, 0, 4);
    }
    return bytes;
  }

 private:
  std::string bytes_;
};

// Into memory of exactly the promised size, for the sanitizers. Empty: not packed.
std::string Packed(const std::string& frames) {
  std::vector<char> to(frames.size());
  const size_t size = PackBlock(frames, to.data());
  REQUIRE(size <= frames.size());
  return std::string(to.data(), size);
}

absl::StatusOr<std::string> Unpacked(const std::string& packed, size_t span) {
  const std::vector<char> from(packed.begin(), packed.end());
  std::vector<char> to(span, '\x55');
  const absl::Status status = UnpackBlock({from.data(), from.size()}, span, to.data());
  if (!status.ok()) return status;
  return std::string(to.data(), to.size());
}

void CheckRoundTrip(const Run& run) {
  const std::string packed = Packed(run.bytes());
  REQUIRE_FALSE(packed.empty());
  const absl::StatusOr<std::string> back = Unpacked(packed, run.bytes().size());
  REQUIRE(back.ok());
  CHECK(*back == run.Unsigned());
}

TEST_CASE("a record like the one before costs one byte beside its data", "[log][codec]") {
  const std::string data(100, 'd');
  Run run;
  for (int i = 0; i < 1000; ++i) run.Add("sensor-01", data, kTime + i);
  CHECK(run.bytes().size() == 128'000);
  // Of the first one the time, the kind, the size and the key, too.
  CHECK(Packed(run.bytes()).size() == 1000 * 101 + 6 + 1 + 1 + 1 + 9);
  CheckRoundTrip(run);
}

TEST_CASE("a key that was there before costs a byte, or two beyond 256 keys", "[log][codec]") {
  const std::string data(100, 'd');
  for (const int keys : {200, 800}) {
    Run once, twice;
    for (int i = 0; i < 2 * keys; ++i) {
      const std::string key = absl::StrCat("sensor-", i % keys);
      if (i < keys) once.Add(key, data);
      twice.Add(key, data);
    }
    INFO(keys << " keys");
    const size_t second = Packed(twice.bytes()).size() - Packed(once.bytes()).size();
    const int far = keys > 256 ? keys - 256 : 0;
    // Some of many share a hash with two others, and are written out again.
    CHECK(second >= static_cast<size_t>(keys * 102 + far));
    CHECK(second <= static_cast<size_t>(keys * 102 + far + 2 * keys));
    CheckRoundTrip(twice);
  }
}

TEST_CASE("more keys than slots, in turn, are all read back", "[log][codec]") {
  Run run;
  for (size_t i = 0; i < 3 * kPackedKeySlots; ++i) {
    run.Add(absl::StrCat("k", i % (kPackedKeySlots + 7)), "body");
  }
  CheckRoundTrip(run);
}

TEST_CASE("random runs are read back bit for bit", "[log][codec]") {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const auto below = [&](size_t bound) { return static_cast<uint32_t>(random() % bound); };
    const auto bytes = [&](size_t size) {
      std::string value(size, '\0');
      for (char& c : value) c = static_cast<char>(random());
      return value;
    };
    std::vector<std::string> keys;
    for (uint32_t i = 0; i < 1 + below(20); ++i) keys.push_back(bytes(below(40)));
    Run run;
    int64_t time = kTime;
    const uint32_t frames = 1 + below(200);
    for (uint32_t i = 0; i < frames; ++i) {
      time += static_cast<int64_t>(below(40)) - 10;
      if (below(50) == 0) time = static_cast<int64_t>(random() & kFrameTimeMsMax);
      const std::string key = below(10) == 0 ? bytes(below(300)) : keys[below(keys.size())];
      run.Add(key, bytes(below(4) == 0 ? below(1500) : 64), time,
              static_cast<uint8_t>(below(8) == 0 ? below(64) : 1), below(8) != 0);
    }
    CheckRoundTrip(run);
  }
}

TEST_CASE("the limits of a frame's fields are read back", "[log][codec]") {
  const int64_t latest = static_cast<int64_t>(kFrameTimeMsMax);
  Run run;
  SECTION("times at both ends, forth and back") {
    run.Add("k", "b", 0).Add("k", "b", latest).Add("k", "b", 0).Add("k", "b", latest - 1);
    run.Add("k", "b", latest).Add("k", "b", latest - 1);
  }
  SECTION("the largest kind, trusted and not") {
    run.Add("k", "b", kTime, 63).Add("k", "b", kTime, 63, false).Add("k", "b", kTime, 0);
    run.Add("k", "b", kTime, 0, false);
  }
  SECTION("no key, no body") {
    run.Add("", "").Add("", "").Add("k", "").Add("", "b").Add("", "");
  }
  SECTION("the longest key") {
    const std::string key(kFrameKeyBytesMax, 'k');
    run.Add(key, "b").Add("k", "b").Add(key, "c").Add(key, "");
  }
  SECTION("sizes around each length of a varint, and alignment") {
    for (const size_t size : {0, 1, 2, 3, 4, 127, 128, 129, 16383, 16384, 16385, 100'000}) {
      run.Add("key", std::string(size, 'b'));
    }
  }
  SECTION("as long as a run may be") {
    const std::string body(1000, 'b');
    while (run.bytes().size() + 1020 <= kPackedSpanMax) run.Add("key", body);
    const size_t left = kPackedSpanMax - run.bytes().size();
    if (left >= kFrameHeaderBytes) run.Add("", std::string(left - kFrameHeaderBytes, 'e'));
    CHECK(run.bytes().size() > kPackedSpanMax - kFrameHeaderBytes);
  }
  CheckRoundTrip(run);
}

TEST_CASE("what does not become smaller, or is no run of frames, is not packed",
          "[log][codec]") {
  CHECK(Packed("").empty());
  CHECK(Packed(std::string(64, '\0')).empty());
  Run run;
  run.Add("key", "body").Add("key", "body");
  CHECK_FALSE(Packed(run.bytes()).empty());
  CHECK(Packed(run.bytes().substr(0, run.bytes().size() - 4)).empty());
  SECTION("a run above the limit") {
    while (run.bytes().size() <= kPackedSpanMax) run.Add("key", std::string(1000, 'b'));
    CHECK(Packed(run.bytes()).empty());
    CHECK_FALSE(IsWorthPacking(run.bytes().size(), 1000));
  }
  SECTION("a few large frames are not worth a copy, many small ones are") {
    CHECK(IsWorthPacking(128'000, 1000));
    CHECK(IsWorthPacking(300, 1));
    CHECK_FALSE(IsWorthPacking(100'000, 3));
    CHECK_FALSE(IsWorthPacking(kPackedSpanMax, 1));
  }
  SECTION("frames in which every field is new and nothing is padding") {
    Run worst;
    for (int i = 0; i < 4; ++i) {
      const std::string key = absl::StrCat(i, std::string((1 << 14) + 3, 'k'));
      worst.Add(key, std::string((1 << 21) / 16 + static_cast<size_t>(i) * 4, 'b'),
                i % 2 == 0 ? int64_t{1} << 46 : 0, static_cast<uint8_t>(i));
    }
    CHECK(Packed(worst.bytes()).size() < worst.bytes().size());  // and never above: see Packed
  }
}

Run Mixed() {
  Run run;
  run.Add("sensor-01", "first body").Add("sensor-01", "other body", kTime + 3);
  run.Add("sensor-02", "", kTime + 40, 1).Add("sensor-01", "x", kTime - 5, 1, false);
  run.Add("", "no key", kTime - 5, 63).Add("sensor-02", "the last one", kTime);
  return run;
}

TEST_CASE("a packed run cut short anywhere is refused", "[log][codec][fault]") {
  const Run run = Mixed();
  const std::string packed = Packed(run.bytes());
  for (size_t size = 0; size < packed.size(); ++size) {
    INFO("cut to " << size);
    CHECK(absl::IsDataLoss(Unpacked(packed.substr(0, size), run.bytes().size()).status()));
  }
}

TEST_CASE("a packed run is refused for any other span", "[log][codec][fault]") {
  const Run run = Mixed();
  const std::string packed = Packed(run.bytes());
  for (size_t span = 0; span < run.bytes().size() + 100; ++span) {
    INFO("span " << span);
    CHECK(Unpacked(packed, span).ok() == (span == run.bytes().size()));
  }
}

TEST_CASE("a packed run with any byte changed is refused, or unpacks to whole frames",
          "[log][codec][fault]") {
  const Run run = Mixed();
  const std::string packed = Packed(run.bytes());
  const size_t span = run.bytes().size();
  size_t refused = 0;
  for (size_t i = 0; i < packed.size(); ++i) {
    for (int change = 1; change < 256; ++change) {
      std::string damaged = packed;
      damaged[i] = static_cast<char>(damaged[i] ^ change);
      const absl::StatusOr<std::string> back = Unpacked(damaged, span);
      if (!back.ok()) {
        REQUIRE(absl::IsDataLoss(back.status()));
        ++refused;
        continue;
      }
      FrameView frame;
      size_t at = 0;
      while (at < span && ParseFrame(back->data() + at, span - at, at, &frame)) {
        at = static_cast<size_t>(frame.end);
      }
      REQUIRE(at == span);
    }
  }
  CHECK(refused > packed.size() * 255 / 4);  // the changes within bodies pass
}

TEST_CASE("the bytes of a row are its frames when they are as long as its span",
          "[log][codec]") {
  const Run run = Mixed();
  const int64_t span = static_cast<int64_t>(run.bytes().size());
  const std::string packed = Packed(run.bytes());
  std::unique_ptr<char[]> memory;
  SECTION("then nothing is copied") {
    const absl::StatusOr<std::string_view> frames = StoredFrames(run.bytes(), span, &memory);
    REQUIRE(frames.ok());
    CHECK(frames->data() == run.bytes().data());
    CHECK(memory == nullptr);
  }
  SECTION("shorter ones are unpacked") {
    const absl::StatusOr<std::string_view> frames = StoredFrames(packed, span, &memory);
    REQUIRE(frames.ok());
    CHECK(*frames == run.Unsigned());
  }
  SECTION("and a span that cannot be is not allocated") {
    for (const int64_t wrong : {INT64_MIN, int64_t{-1}, int64_t{0}, span + 4, int64_t{1} << 40,
                                INT64_MAX}) {
      INFO("span " << wrong);
      CHECK(absl::IsDataLoss(StoredFrames(packed, wrong, &memory).status()));
    }
  }
}

}  // namespace
}  // namespace eddy::log
