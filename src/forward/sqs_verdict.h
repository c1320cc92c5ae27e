// What one entry of a SendMessageBatch answer means for its message. Pure.
#ifndef EDDY_SRC_FORWARD_SQS_VERDICT_H_
#define EDDY_SRC_FORWARD_SQS_VERDICT_H_

#include <cstdint>

#include "absl/status/status.h"
#include "src/aws/sqs.h"
#include "src/forward/reply.h"

namespace eddy::forward {

// A message whose stored digest is wrong is sent again, since what was stored is not
// the message. After so many times it is the target that changes it: a dead letter, or
// without a queue for those the end of the route, and it is not sent again.
inline constexpr int kDigestFailuresMax = 3;

enum class EntryEnd : uint8_t {
  kStored,  // delete it
  kAgain,   // keep it and send it again
  kDead,    // never acceptable: dead letter
};

struct EntryVerdict {
  EntryEnd end = EntryEnd::kStored;
  Trouble trouble = Trouble::kNone;  // kAgain: why
  bool maybe_stored = false;         // kAgain
  bool is_wrong_digest = false;
  absl::Status status;               // OK if stored
};

// `digest_failure`: which one it would be, from 1, if the digest is wrong.
EntryVerdict JudgeEntry(const aws::sqs::Message& message, const aws::sqs::MessageResult& result,
                        int digest_failure);

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_SQS_VERDICT_H_
