#include "src/queue/receipt.h"

#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "src/base/strings.h"

namespace eddy::queue {
namespace {

constexpr size_t kReceiptBytes = 24;
constexpr size_t kCheckedBytes = kReceiptBytes - 4;
constexpr size_t kHandleBytes = 32;
// Three bytes are four characters, with no bit left over: each receipt has one
// handle and each handle at most one receipt.
static_assert(kReceiptBytes % 3 == 0 && kHandleBytes == kReceiptBytes / 3 * 4);

// Not Abseil's functions: they build strings, for each message of each receive.
constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// Two digits for each twelve bits, side by side.
struct DigitPairs {
  constexpr DigitPairs() : of() {
    for (size_t i = 0; i < 64 * 64; ++i) {
      of[2 * i] = kAlphabet[i >> 6];
      of[2 * i + 1] = kAlphabet[i & 63];
    }
  }
  char of[2 * 64 * 64];
};
constexpr DigitPairs kDigitPairs;

// Six bits of each character, where they stand as the first to the fourth of a group,
// or kBad for what is not in the alphabet.
constexpr uint32_t kBad = 1 << 24;
struct Sextets {
  constexpr Sextets() : of() {
    for (int place = 0; place < 4; ++place) {
      for (uint32_t& bits : of[place]) bits = kBad;
      for (uint32_t i = 0; i < 64; ++i) {
        of[place][static_cast<unsigned char>(kAlphabet[i])] = i << (18 - 6 * place);
      }
    }
  }
  uint32_t of[4][256];
};
constexpr Sextets kSextets;

// False: not 32 characters of the alphabet.
bool Unescape(std::string_view handle, char* bytes) {
  if (handle.size() != kHandleBytes) return false;
  uint32_t all = 0;
  const auto sextet = [&handle](size_t from, size_t place) {
    return kSextets.of[place][static_cast<unsigned char>(handle[from + place])];
  };
  for (size_t from = 0; from < kHandleBytes; from += 4, bytes += 3) {
    const uint32_t bits = sextet(from, 0) | sextet(from, 1) | sextet(from, 2) | sextet(from, 3);
    all |= bits;
    bytes[0] = static_cast<char>(bits >> 16);
    bytes[1] = static_cast<char>(bits >> 8);
    bytes[2] = static_cast<char>(bits);
  }
  return (all & kBad) == 0;
}

void Escape(const char* bytes, char* handle) {
  const auto byte = [bytes](size_t at) {
    return static_cast<uint32_t>(static_cast<unsigned char>(bytes[at]));
  };
  for (size_t from = 0; from < kReceiptBytes; from += 3, handle += 4) {
    const uint32_t bits = byte(from) << 16 | byte(from + 1) << 8 | byte(from + 2);
    std::memcpy(handle, kDigitPairs.of + 2 * (bits >> 12), 2);
    std::memcpy(handle + 2, kDigitPairs.of + 2 * (bits & 4095), 2);
  }
}

// Multiplies and folds each word in turn, so that each bit of the input moves half
// of the check.
uint32_t Check(const char* bytes, uint64_t salt) {
  uint64_t hash = 0xcbf29ce484222325u ^ salt;
  const auto mix = [&hash](uint64_t word) {
    hash = (hash ^ word) * 0xff51afd7ed558ccdu;
    hash ^= hash >> 32;
  };
  static_assert(kCheckedBytes == 2 * sizeof(uint64_t) + sizeof(uint32_t));
  uint64_t words[2];
  uint32_t last;
  std::memcpy(words, bytes, sizeof(words));
  std::memcpy(&last, bytes + sizeof(words), sizeof(last));
  mix(words[0]);
  mix(words[1]);
  mix(last);
  return static_cast<uint32_t>(hash * 0xc4ceb9fe1a85ec53u >> 32);
}

}  // namespace

std::string EncodeReceipt(const Receipt& receipt, uint64_t salt) {
  char bytes[kReceiptBytes];
  std::memcpy(bytes, &receipt.queue, 4);
  std::memcpy(bytes + 4, &receipt.session, 4);
  std::memcpy(bytes + 8, &receipt.position, 8);
  std::memcpy(bytes + 16, &receipt.receive_count, 4);
  const uint32_t check = Check(bytes, salt);
  std::memcpy(bytes + kCheckedBytes, &check, 4);
  char handle[kHandleBytes];
  Escape(bytes, handle);
  return std::string(handle, kHandleBytes);
}

absl::StatusOr<Receipt> DecodeReceipt(std::string_view handle, uint32_t queue, uint64_t salt) {
  char bytes[kReceiptBytes];
  if (Unescape(handle, bytes)) {
    Receipt receipt;
    uint32_t check;
    std::memcpy(&receipt.queue, bytes, 4);
    std::memcpy(&receipt.session, bytes + 4, 4);
    std::memcpy(&receipt.position, bytes + 8, 8);
    std::memcpy(&receipt.receive_count, bytes + 16, 4);
    std::memcpy(&check, bytes + kCheckedBytes, 4);
    if (receipt.queue == queue && check == Check(bytes, salt)) return receipt;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::CHexEscape(AbslView(handle.substr(0, 2 * kHandleBytes))),
                   "\" is not a receipt handle of this queue"));
}

}  // namespace eddy::queue
