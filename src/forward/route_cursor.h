// The cursor of a stream's route: its name, and whose it is.
//
//   forward.kinesis.<target stream>.<16 hex digits>
//
// The digits are a hash of service, host and port, region and target: the same stream name at two
// endpoints, or in two regions, is two places to have come to. Of a target too long for
// the name of a cursor the end is cut; the hash has all of it.
// Depends on aws/endpoint.h and the public headers.
#ifndef EDDY_SRC_FORWARD_ROUTE_CURSOR_H_
#define EDDY_SRC_FORWARD_ROUTE_CURSOR_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "eddy/stream.h"
#include "src/aws/endpoint.h"

namespace eddy::forward {

std::string RouteCursorName(const aws::Endpoint& endpoint, std::string_view target_stream);

// The sole use of a cursor in this process: two routes that moved one would each skip
// what the other has delivered. Released by the end of the lease.
//
// Threads:  Take is safe; a lease has one owner.
// Lifetime: the cursor outlives it.
class CursorLease {
 public:
  //   kAlreadyExists   another route has it, perhaps of another forwarder.
  static absl::StatusOr<CursorLease> Take(Cursor* cursor);

  CursorLease(CursorLease&& other) noexcept : cursor_(std::exchange(other.cursor_, nullptr)) {}
  CursorLease& operator=(CursorLease&&) = delete;
  ~CursorLease();

  Cursor* get() const { return cursor_; }

 private:
  explicit CursorLease(Cursor* cursor) : cursor_(cursor) {}

  Cursor* cursor_;
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_ROUTE_CURSOR_H_
