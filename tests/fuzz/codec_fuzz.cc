// Packed runs, both ways: whatever the bytes, unpacking them for whatever span is
// refused or makes whole frames of exactly that span, and what is packed is
// unpacked to the same frames.
//
// The input is u16 span, in words, and then the packed bytes; the same bytes are
// taken for a run of frames as well. Frames that unpacking makes are packed again,
// so that a mutation of either reaches both.
#include <algorithm>

#include "src/log/block_codec.h"
#include "tests/fuzz/fuzz.h"

namespace eddy::fuzz {
namespace {

// The frames without what packing does not keep; empty if they are none.
std::string Bare(const std::vector<char>& frames) {
  std::string bare(frames.begin(), frames.end());
  for (size_t at = 0; at < frames.size();) {
    log::FrameView view;
    if (!log::ParseFrame(frames.data() + at, frames.size() - at, at, &view)) return {};
    std::memset(bare.data() + at + 4, 0, 4);
    const size_t end = at + log::kFrameHeaderBytes + view.key.size() + view.body.size();
    at = static_cast<size_t>(view.end);
    std::memset(bare.data() + end, 0, at - end);
  }
  return bare;
}

void RoundTrip(const std::vector<char>& frames) {
  std::vector<char> packed(frames.size());  // no more, as promised
  packed.resize(log::PackBlock({frames.data(), frames.size()}, packed.data()));
  const std::string bare = Bare(frames);
  Hold(packed.empty() || !bare.empty(), "something was packed that is no run of frames");
  if (packed.empty()) return;
  Hold(packed.size() < frames.size(), "packed it is not smaller");
  packed.shrink_to_fit();
  std::vector<char> again(frames.size());
  Hold(log::UnpackBlock({packed.data(), packed.size()}, again.size(), again.data()).ok(),
       "what was packed is not unpacked");
  Hold(std::equal(again.begin(), again.end(), bare.begin(), bare.end()),
       "what was packed is unpacked to something else");
}

std::string Packed(const std::string& frames) {
  std::string input(2, '\0');
  const uint16_t words = static_cast<uint16_t>(frames.size() / 4);
  std::memcpy(input.data(), &words, sizeof(words));
  std::string packed(frames.size(), '\0');
  packed.resize(log::PackBlock(frames, packed.data()));
  return input + packed;
}

}  // namespace

std::vector<std::string> Seeds() {
  log::FrameParts parts;
  parts.time_ms = 1'700'000'000'000;
  std::string alike;
  std::string mixed;
  for (int i = 0; i < 8; ++i) {
    parts.key = "key";
    parts.body = "a body of some length";
    alike += Filled(parts, alike.size(), 9);
    const std::string key(static_cast<size_t>(i % 3) * 5, static_cast<char>('a' + i % 3));
    parts.key = key;
    parts.body = std::string_view("0123456789").substr(0, static_cast<size_t>(i));
    parts.kind = static_cast<uint8_t>(i / 4);
    parts.time_trusted = i > 1;
    parts.time_ms += i * 7 - 20;
    mixed += Filled(parts, mixed.size(), 9);
  }
  std::string many_keys;
  for (int i = 0; i < 300; ++i) {
    const std::string key = std::to_string(i % 290);
    parts.key = key;
    parts.body = "b";
    many_keys += Filled(parts, many_keys.size(), 9);
  }
  return {Packed(alike), Packed(mixed), Packed(many_keys), "12" + alike, "12" + mixed};
}

}  // namespace eddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eddy;
  fuzz::Input input(data, size);
  const size_t span = size_t{input.Number<uint16_t>()} * 4;
  const std::string_view rest = input.Rest();
  const std::vector<char> bytes(rest.begin(), rest.end());  // of exactly this size
  fuzz::RoundTrip(bytes);

  std::vector<char> frames(span);
  const absl::Status status =
      log::UnpackBlock({bytes.data(), bytes.size()}, span, frames.data());
  fuzz::Hold(status.ok() || absl::IsDataLoss(status), "another code than kDataLoss");
  if (!status.ok()) return 0;
  const std::string bare = fuzz::Bare(frames);
  fuzz::Hold(std::equal(frames.begin(), frames.end(), bare.begin(), bare.end()),
             "bytes unpacked to what is no run of frames");
  fuzz::RoundTrip(frames);
  return 0;
}
