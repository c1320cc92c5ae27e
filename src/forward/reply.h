// Reply: what became of one request, in the words that a route acts on.
#ifndef EDDY_SRC_FORWARD_REPLY_H_
#define EDDY_SRC_FORWARD_REPLY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace eddy::forward {

// Whether the service has applied the request.
enum class Outcome : uint8_t {
  kAnswered,  // HTTP 2xx, complete: the body says what
  kRefused,   // an error of the service: nothing of it was applied
  kNotSent,   // it cannot have arrived
  kUnknown,   // perhaps: no answer, a cut one, or one that cannot be understood
};

// What a route does about it.
enum class Trouble : uint8_t {
  kNone,
  kUnreachable,    // try again; the link is down
  kServiceFault,   // try again; the service is in trouble
  kThrottled,      // try again, slower
  kSignedAnew,     // credentials or the clock's offset were renewed: try again at once, once
  kNeedsOperator,  // keep all, try again seldom, say what to do
  kBadContent,     // an entry is malformed: find it
  kTooLarge,       // send fewer at once; one alone as TooLargeAlone says
};

struct Reply {
  Outcome outcome = Outcome::kNotSent;
  Trouble trouble = Trouble::kNone;  // kNone if and only if answered
  std::string body;                  // if answered
  absl::Status status;               // OK if and only if answered; says what to do
  std::optional<absl::Duration> retry_after;  // the service's wish
  bool timed_out = false;            // the request may be too large for the link
  bool has_code = false;  // an error in the service's own words, not a bystander's
};

inline Reply MakeReply(Outcome outcome, Trouble trouble, absl::Status status) {
  Reply reply;
  reply.outcome = outcome;
  reply.trouble = trouble;
  reply.status = std::move(status);
  return reply;
}

// Of a refusal for the size of a request that held one entry. In the service's own
// words it condemns the entry. Without a code it is the limit of a proxy or gateway,
// which only a person can raise.
inline Reply TooLargeAlone(Reply reply) {
  if (reply.has_code) {
    reply.trouble = Trouble::kBadContent;
    return reply;
  }
  reply.trouble = Trouble::kNeedsOperator;
  reply.status = absl::PermissionDeniedError(
      absl::StrCat(reply.status.message(),
                   "; everything is kept: something on the way refuses a request of one entry "
                   "for its size, raise its limit"));
  return reply;
}

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_REPLY_H_
