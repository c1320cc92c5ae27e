#include "src/log/block_codec.h"

#include <cstring>

#include "absl/base/optimization.h"
#include "absl/strings/str_cat.h"
#include "src/base/short_bytes.h"
#include "src/base/status.h"

namespace eddy::log {
namespace {

constexpr uint8_t kTimeBits = 0x0f;
constexpr uint8_t kTimeFollows = 15;
constexpr int kKeyShift = 4;
enum KeyForm : uint8_t { kKeySame = 0, kKeyShortSlot = 1, kKeyLongSlot = 2, kKeyNew = 3 };
constexpr uint8_t kSizeFollows = 0x40;
constexpr uint8_t kKindFollows = 0x80;

constexpr uint8_t kTrustedBit = 0x40;  // of the kind's byte

// Bytes of the longest varints, and of all that can stand before a key and a body:
// no more than the frame's header, so that packing never needs more room.
constexpr size_t kTimeBytesMax = 7;      // 47 bits and the sign
constexpr size_t kBodySizeBytesMax = 4;  // 26 bits
constexpr size_t kKeySizeBytesMax = 3;   // 16 bits
static_assert(1 + kTimeBytesMax + 1 + kBodySizeBytesMax + kKeySizeBytesMax <=
              kFrameHeaderBytes);

constexpr uint64_t kShortSlots = 256;
static_assert(kPackedKeySlots <= 1 << 16);

char* PutVarint(char* to, uint64_t value) {
  for (; value >= 0x80; value >>= 7) *to++ = static_cast<char>(value | 0x80);
  *to++ = static_cast<char>(value);
  return to;
}

constexpr uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
constexpr int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

// The keys that have slots.
class KeySlots {
 public:
  uint64_t Add(std::string_view key) {
    const uint64_t slot = count_++ % kPackedKeySlots;
    keys_[slot] = {key.data(), static_cast<uint32_t>(key.size())};
    return slot;
  }
  bool Has(uint64_t slot) const { return slot < count_ && slot < kPackedKeySlots; }
  std::string_view operator[](uint64_t slot) const {
    return {keys_[slot].data, keys_[slot].size};
  }

 private:
  struct Key {
    const char* data;
    uint32_t size;
  };
  uint64_t count_ = 0;         // of the keys that ever had one
  Key keys_[kPackedKeySlots];  // not initialised, which would cost more than a short run
};

// The slot that a key has, of two keys for each hash; one that was pushed out is
// taken for new, which costs some bytes.
class KeyIndex {
 public:
  // Where to look for it, and to note it with Push.
  uint16_t* Pair(std::string_view key) {
    const size_t size = key.size();
    uint64_t bits = size;
    if (size >= 8) {
      bits += LoadAt<uint64_t>(key.data()) * 0x9e3779b97f4a7c15u;
      bits ^= LoadAt<uint64_t>(key.data() + size - 8);
    } else {
      for (const char c : key) bits = (bits << 8) ^ (bits >> 56) ^ static_cast<unsigned char>(c);
    }
    bits ^= bits >> 32;  // keys differ at their ends, the highest bits
    return slots_[static_cast<size_t>((bits * 0xff51afd7ed558ccdu) >> (64 - kBits))];
  }
  static void Push(uint16_t* pair, uint64_t slot) {
    pair[1] = pair[0];
    pair[0] = static_cast<uint16_t>(slot);
  }

 private:
  static constexpr int kBits = 10;
  static_assert(size_t{1} << kBits >= kPackedKeySlots);
  uint16_t slots_[size_t{1} << kBits][2] = {};
};

// Takes the numbers of a packed run apart; what is not there reads as a failure.
class Unpacker {
 public:
  explicit Unpacker(std::string_view packed) : at_(packed.data()), end_(at_ + packed.size()) {}

  bool empty() const { return at_ == end_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  const char* at() const { return at_; }
  std::string_view Take(size_t size) {  // not more than are left
    const std::string_view bytes(at_, size);
    at_ += size;
    return bytes;
  }
  uint8_t Tag() { return static_cast<uint8_t>(*at_++); }  // there is one
  bool Byte(uint8_t* value) {
    if (empty()) return false;
    *value = static_cast<uint8_t>(*at_++);
    return true;
  }
  bool Varint(size_t bytes_max, uint64_t* value) {
    *value = 0;
    for (size_t i = 0; i < bytes_max && !empty(); ++i) {
      const uint64_t byte = static_cast<uint8_t>(*at_++);
      *value |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) return true;
    }
    return false;
  }

 private:
  const char* at_;
  const char* const end_;
};

}  // namespace

size_t PackBlock(std::string_view frames, char* to) {
  if (frames.size() > kPackedSpanMax) return 0;
  KeySlots slots;
  KeyIndex index;
  FrameView last;
  char* out = to;
  for (size_t at = 0; at < frames.size();) {
    FrameView frame;
    if (!ParseFrame(frames.data() + at, frames.size() - at, at, &frame)) return 0;
    at = static_cast<size_t>(frame.end);
    char* const tag = out++;
    uint8_t bits = 0;
    const int64_t later_ms = frame.time_ms - last.time_ms;
    if (later_ms >= 0 && later_ms < kTimeFollows) {
      bits = static_cast<uint8_t>(later_ms);
    } else {
      bits = kTimeFollows;
      out = PutVarint(out, ZigZag(later_ms));
    }
    if (frame.kind != last.kind || frame.time_trusted != last.time_trusted) {
      bits |= kKindFollows;
      *out++ = static_cast<char>(frame.kind | (frame.time_trusted ? kTrustedBit : 0));
    }
    if (frame.body.size() != last.body.size()) {
      bits |= kSizeFollows;
      out = PutVarint(out, frame.body.size());
    }
    if (!SameShort(frame.key, last.key)) {
      uint16_t* const pair = index.Pair(frame.key);
      const auto holds = [&](uint16_t slot) {
        return slots.Has(slot) && SameShort(slots[slot], frame.key);
      };
      const uint16_t slot = holds(pair[0]) ? pair[0] : pair[1];
      if (!holds(slot)) {
        bits |= kKeyNew << kKeyShift;
        KeyIndex::Push(pair, slots.Add(frame.key));
        out = PutVarint(out, frame.key.size());
        out = CopyShort(out, frame.key);
      } else {
        *out++ = static_cast<char>(slot);
        if (slot >= kShortSlots) *out++ = static_cast<char>(slot >> 8);
        bits |= static_cast<uint8_t>((slot < kShortSlots ? kKeyShortSlot : kKeyLongSlot)
                                     << kKeyShift);
      }
    }
    *tag = static_cast<char>(bits);
    std::memcpy(out, frame.body.data(), frame.body.size());
    out += frame.body.size();
    last = frame;
  }
  const size_t packed = static_cast<size_t>(out - to);
  EDDY_CHECK(packed <= frames.size());
  return packed < frames.size() ? packed : 0;
}

std::string_view BlockPacker::Pack(std::string_view frames, uint64_t frame_count) {
  if (!IsWorthPacking(frames.size(), frame_count)) return frames;
  if (packed_bytes_max_ < frames.size()) {
    packed_bytes_max_ = frames.size();
    packed_.reset(new char[packed_bytes_max_]);
  }
  const size_t packed = PackBlock(frames, packed_.get());
  return packed == 0 ? frames : std::string_view(packed_.get(), packed);
}

absl::Status UnpackBlock(std::string_view packed, size_t span, char* to) {
  Unpacker in(packed);
  const auto wrong = [&](const char* what) {
    return absl::DataLossError(
        absl::StrCat("a packed run of ", packed.size(), " bytes for frames of ", span, ": ", what,
                     " before its byte ", packed.size() - in.left()));
  };
  if (span > kPackedSpanMax) return wrong("more than is ever packed");
  KeySlots slots;
  std::string_view key;
  uint64_t time_ms = 0;
  size_t body_bytes = 0;
  uint8_t kind = 0;  // with kTrustedBit
  size_t done = 0;
  while (!in.empty()) {
    const uint8_t tag = in.Tag();
    if (ABSL_PREDICT_TRUE((tag & kTimeBits) != kTimeFollows)) {
      time_ms += tag & kTimeBits;
    } else {
      uint64_t later;
      if (!in.Varint(kTimeBytesMax, &later)) return wrong("no time");
      time_ms += static_cast<uint64_t>(UnZigZag(later));
    }
    if (ABSL_PREDICT_FALSE(time_ms > kFrameTimeMsMax)) return wrong("a time that cannot be");
    if ((tag & kKindFollows) != 0 && (!in.Byte(&kind) || kind > (kFrameKindMax | kTrustedBit))) {
      return wrong("no kind");
    }
    if ((tag & kSizeFollows) != 0) {
      uint64_t size;
      if (!in.Varint(kBodySizeBytesMax, &size)) return wrong("no size of the body");
      body_bytes = static_cast<size_t>(size);
    }
    const int key_form = (tag >> kKeyShift) & 3;
    if (key_form == kKeyNew) {
      uint64_t size;
      if (!in.Varint(kKeySizeBytesMax, &size) || size > kFrameKeyBytesMax || size > in.left()) {
        return wrong("no whole key");
      }
      key = in.Take(static_cast<size_t>(size));
      slots.Add(key);
    } else if (key_form != kKeySame) {
      uint8_t low = 0;
      uint8_t high = 0;
      if (!in.Byte(&low) || (key_form == kKeyLongSlot && !in.Byte(&high)) ||
          !slots.Has(low + (uint64_t{high} << 8))) {
        return wrong("no key in a slot");
      }
      key = slots[low + (uint64_t{high} << 8)];
    }
    // Both sizes are bounded above, so that their sum cannot wrap.
    const size_t size = kFrameHeaderBytes + key.size() + body_bytes;
    const size_t bytes = AlignFrame(size);
    if (body_bytes > in.left() || bytes > span - done) return wrong("a frame beyond the end");
    char* const frame = to + done;
    StoreAt<uint32_t>(frame + bytes - sizeof(uint32_t), 0);  // the padding, before all else
    StoreAt<uint32_t>(frame, FrameWord0(size, kind & kFrameKindMax));
    StoreAt<uint32_t>(frame + 4, 0);
    StoreAt(frame + 8, FrameTimeWord(time_ms, (kind & kTrustedBit) != 0, key.size()));
    char* const body = CopyShort(frame + kFrameHeaderBytes, key);
    std::memcpy(body, in.Take(body_bytes).data(), body_bytes);
    done += bytes;
  }
  return done == span ? absl::OkStatus() : wrong("too few frames");
}

absl::StatusOr<std::string_view> StoredFrames(std::string_view stored, int64_t span,
                                              std::unique_ptr<char[]>* memory) {
  if (span >= 0 && static_cast<uint64_t>(span) == stored.size()) return stored;
  // Before it is believed as a size to allocate.
  if (span < 0 || static_cast<uint64_t>(span) > kPackedSpanMax) {
    return absl::DataLossError(absl::StrCat("a row of ", stored.size(), " bytes for frames of ",
                                            span, ": at most ", kPackedSpanMax, " are packed"));
  }
  const size_t size = static_cast<size_t>(span);
  memory->reset(new char[size]);
  EDDY_RETURN_IF_ERROR(UnpackBlock(stored, size, memory->get()));
  return std::string_view(memory->get(), size);
}

}  // namespace eddy::log
