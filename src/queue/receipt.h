// Receipt handles: the proof of a receive, as text.
//
// 24 bytes in base64url, 32 characters:
//
//      0          4          8          16              20         24
//      +----------+----------+----------+---------------+----------+
//      | queue id | session  | position | receive count | check    |
//      +----------+----------+----------+---------------+----------+
//
// The receive count tells one receive of a message from the next; it survives a
// restart, so a handle from before one still deletes. The session, drawn at
// each open, is for the one case in which a count is forgotten (kProcess and a
// power cut): the same count may then come twice, in two sessions. The check
// keeps out what a typing error or another queue's handle would hit; it is no
// secret and defends against no attacker.
#ifndef EDDY_SRC_QUEUE_RECEIPT_H_
#define EDDY_SRC_QUEUE_RECEIPT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace eddy::queue {

struct Receipt {
  uint32_t queue = 0;
  uint32_t session = 0;
  uint64_t position = 0;
  uint32_t receive_count = 0;
};

// `salt` is the queue's own, the same at each open.
std::string EncodeReceipt(const Receipt& receipt, uint64_t salt);

//   kInvalidArgument   not a handle that EncodeReceipt made for `queue`.
absl::StatusOr<Receipt> DecodeReceipt(std::string_view handle, uint32_t queue, uint64_t salt);

}  // namespace eddy::queue

#endif  // EDDY_SRC_QUEUE_RECEIPT_H_
