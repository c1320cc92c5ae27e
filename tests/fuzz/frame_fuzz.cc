// ParseFrame and FrameMatches on arbitrary bytes, and the walk from frame to
// frame over a block's bytes, as Drain and the readers walk.
#include "tests/fuzz/fuzz.h"

namespace eddy::fuzz {
namespace {

constexpr uint64_t kSalt = 0x5a17;
constexpr uint64_t kPosition = 4096;

void Frame(const char* from, size_t available, uint64_t position, const log::FrameView& view) {
  Hold(view.position == position && view.end > position, "a frame without length");
  const size_t bytes = static_cast<size_t>(view.end - position);
  Hold(bytes <= available && bytes % log::kFrameAlignment == 0, "a frame beyond its bytes");
  Hold(view.key.data() == from + log::kFrameHeaderBytes &&
           view.body.data() == view.key.data() + view.key.size() &&
           view.body.data() + view.body.size() <= from + bytes,
       "key or body lie outside of the frame");
  // What was parsed, written again, is the same frame.
  log::FrameParts parts;
  parts.kind = view.kind;
  parts.time_ms = view.time_ms;
  parts.time_trusted = view.time_trusted;
  parts.key = view.key;
  parts.body = view.body;
  const std::string again = Filled(parts, position, kSalt);
  Hold(again.size() == bytes && std::memcmp(again.data(), from, 4) == 0 &&
           std::memcmp(again.data() + 8, from + 8, parts.Bytes() - 8) == 0,
       "a frame written again is another one");
  const bool matches = std::memcmp(again.data() + 4, from + 4, 4) == 0;
  Hold(log::FrameMatches(from, available, position, kSalt) == matches,
       "FrameMatches holds for a wrong checksum, or not for the right one");
}

}  // namespace

std::vector<std::string> Seeds() {
  log::FrameParts parts;
  parts.time_ms = 1'700'000'000'000;
  parts.time_trusted = true;
  std::string walk;
  std::vector<std::string> seeds;
  for (const size_t size : {0, 1, 3, 16, 100, 500}) {
    const std::string body(size, 'b');
    parts.kind = static_cast<uint8_t>(size % 64);
    parts.key = size % 2 == 0 ? "key" : "a key above sixteen bytes";
    parts.body = body;
    seeds.push_back(Filled(parts, kPosition, kSalt));
    walk += Filled(parts, kPosition + walk.size(), kSalt);
  }
  seeds.push_back(walk);
  return seeds;
}

}  // namespace eddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eddy;
  const std::vector<char> bytes(data, data + size);  // of exactly this size
  for (size_t at = 0; at < bytes.size();) {
    log::FrameView view;
    const uint64_t position = fuzz::kPosition + at;
    const size_t available = bytes.size() - at;
    if (!log::ParseFrame(bytes.data() + at, available, position, &view)) {
      fuzz::Hold(!log::FrameMatches(bytes.data() + at, available, position, fuzz::kSalt),
                 "a frame matches that does not parse");
      at += log::kFrameAlignment;  // as recovery looks for the next
      continue;
    }
    fuzz::Frame(bytes.data() + at, available, position, view);
    at += static_cast<size_t>(view.end - position);
  }
  return 0;
}
