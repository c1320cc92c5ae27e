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

// 0..63, or 64 for what is not in the alphabet.
uint32_t Digit(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<uint32_t>(c - 'A');
  if (c >= 'a' && c <= 'z') return static_cast<uint32_t>(c - 'a' + 26);
  if (c >= '0' && c <= '9') return static_cast<uint32_t>(c - '0' + 52);
  return c == '-' ? 62 : c == '_' ? 63 : 64;
}

// False: not 32 characters of the alphabet.
bool Unescape(std::string_view handle, char* bytes) {
  if (handle.size() != kHandleBytes) return false;
  uint32_t bad = 0;
  for (size_t i = 0; i < kReceiptBytes / 3; ++i) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 4; ++j) {
      const uint32_t digit = Digit(handle[4 * i + j]);
      bad |= digit & 64;
      bits = bits << 6 | (digit & 63);
    }
    for (size_t j = 0; j < 3; ++j) bytes[3 * i + j] = static_cast<char>(bits >> (16 - 8 * j));
  }
  return bad == 0;
}

// FNV-1a with a final mix, so that each bit of the input moves half of the check.
uint32_t Check(std::string_view bytes, uint64_t salt) {
  uint64_t hash = 0xcbf29ce484222325u ^ salt;
  for (const char c : bytes) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdu;
  return static_cast<uint32_t>(hash >> 32);
}

}  // namespace

std::string EncodeReceipt(const Receipt& receipt, uint64_t salt) {
  char bytes[kReceiptBytes];
  std::memcpy(bytes, &receipt.queue, 4);
  std::memcpy(bytes + 4, &receipt.session, 4);
  std::memcpy(bytes + 8, &receipt.position, 8);
  std::memcpy(bytes + 16, &receipt.receive_count, 4);
  const uint32_t check = Check({bytes, kCheckedBytes}, salt);
  std::memcpy(bytes + kCheckedBytes, &check, 4);
  std::string handle(kHandleBytes, '\0');
  for (size_t i = 0; i < kReceiptBytes / 3; ++i) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) bits = bits << 8 | static_cast<unsigned char>(bytes[3 * i + j]);
    for (size_t j = 0; j < 4; ++j) handle[4 * i + j] = kAlphabet[bits >> (18 - 6 * j) & 63];
  }
  return handle;
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
    if (receipt.queue == queue && check == Check({bytes, kCheckedBytes}, salt)) return receipt;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::CHexEscape(AbslView(handle.substr(0, 2 * kHandleBytes))),
                   "\" is not a receipt handle of this queue"));
}

}  // namespace eddy::queue
