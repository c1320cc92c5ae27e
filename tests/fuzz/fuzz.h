// What each fuzz target has beside LLVMFuzzerTestOneInput, and what they share.
//
// A target holds a promise over whatever bytes it is given: it aborts (Hold), or
// a sanitizer does. It brings its first inputs itself:
//
//   eddy_fuzz_NAME --seeds DIRECTORY     writes them there, and ends
//   eddy_fuzz_NAME FILE                  repeats one input
//   eddy_fuzz_NAME DIRECTORY [-max_total_time=SECONDS]
#ifndef EDDY_TESTS_FUZZ_FUZZ_H_
#define EDDY_TESTS_FUZZ_FUZZ_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "src/log/frame.h"

namespace eddy::fuzz {

// Of the target: inputs that reach far into what it tests.
std::vector<std::string> Seeds();

inline void Hold(bool promise, const char* otherwise) {
  if (promise) return;
  std::fprintf(stderr, "broken: %s\n", otherwise);
  std::abort();
}

// Takes an input apart; where it is used up there are zeros.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_(reinterpret_cast<const char*>(data), size) {}

  template <typename T>
  T Number() {
    T value = 0;
    const std::string_view bytes = Bytes(sizeof(T));
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  std::string_view Bytes(size_t count) {
    const std::string_view bytes = left_.substr(0, count);
    left_.remove_prefix(bytes.size());
    return bytes;
  }
  std::string_view Rest() { return Bytes(left_.size()); }
  bool empty() const { return left_.empty(); }

 private:
  std::string_view left_;
};

// The head of an input that stands for a frame as a view's decoder gets it, and
// what FrameOf makes of it. Reads beyond a copy of exactly its size are caught.
inline std::string FrameInput(uint8_t kind, std::string_view key, std::string_view body) {
  std::string input(1, static_cast<char>(kind));
  input.append(8, '\1');  // the time
  input.push_back(static_cast<char>(key.size()));
  return input.append(key).append(body);
}

struct OwnedFrame {
  std::vector<char> key, body;
  log::FrameView view;
};
inline void FrameOf(const uint8_t* data, size_t size, OwnedFrame* frame) {
  Input input(data, size);
  frame->view.kind = input.Number<uint8_t>() & log::kFrameKindMax;
  frame->view.time_ms =
      static_cast<int64_t>(input.Number<uint64_t>() & ((uint64_t{1} << 47) - 1));
  const std::string_view key = input.Bytes(input.Number<uint8_t>());
  const std::string_view body = input.Rest();
  frame->key.assign(key.begin(), key.end());
  frame->body.assign(body.begin(), body.end());
  frame->view.key = {frame->key.data(), frame->key.size()};
  frame->view.body = {frame->body.data(), frame->body.size()};
  frame->view.position = 64;
  frame->view.end = 64 + log::AlignFrame(log::kFrameHeaderBytes + key.size() + body.size());
}

// A frame as FillFrame and the publisher leave it.
inline std::string Filled(const log::FrameParts& parts, uint64_t position, uint64_t salt) {
  std::string bytes(log::AlignFrame(parts.Bytes()), '\0');
  const uint32_t word0 = log::FillFrame(parts, position, salt, bytes.data());
  std::memcpy(bytes.data(), &word0, sizeof(word0));
  return bytes;
}

}  // namespace eddy::fuzz

#endif  // EDDY_TESTS_FUZZ_FUZZ_H_
