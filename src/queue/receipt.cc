#include "src/queue/receipt.h"

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "src/base/strings.h"
#include "src/queue/byte_io.h"

namespace eddy::queue {
namespace {

constexpr size_t kReceiptBytes = 24;
constexpr size_t kHandleBytes = 32;

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
  std::string bytes;
  bytes.reserve(kReceiptBytes);
  PutNumber(&bytes, receipt.queue);
  PutNumber(&bytes, receipt.session);
  PutNumber(&bytes, receipt.position);
  PutNumber(&bytes, receipt.receive_count);
  PutNumber(&bytes, Check(bytes, salt));
  return absl::WebSafeBase64Escape(bytes);
}

absl::StatusOr<Receipt> DecodeReceipt(std::string_view handle, uint32_t queue, uint64_t salt) {
  std::string bytes;
  // Unescape forgives white space; the length and the way back do not.
  if (handle.size() == kHandleBytes && absl::WebSafeBase64Unescape(AbslView(handle), &bytes) &&
      bytes.size() == kReceiptBytes && absl::WebSafeBase64Escape(bytes) == AbslView(handle)) {
    ByteReader reader(bytes);
    Receipt receipt;
    receipt.queue = reader.Number<uint32_t>();
    receipt.session = reader.Number<uint32_t>();
    receipt.position = reader.Number<uint64_t>();
    receipt.receive_count = reader.Number<uint32_t>();
    const std::string_view checked = std::string_view(bytes).substr(0, kReceiptBytes - 4);
    if (receipt.queue == queue && reader.Number<uint32_t>() == Check(checked, salt)) {
      return receipt;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::CHexEscape(AbslView(handle.substr(0, 2 * kHandleBytes))),
                   "\" is not a receipt handle of this queue"));
}

}  // namespace eddy::queue
