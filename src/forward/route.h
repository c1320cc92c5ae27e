// Route: one way from the store to a service, in bounded steps.
#ifndef EDDY_SRC_FORWARD_ROUTE_H_
#define EDDY_SRC_FORWARD_ROUTE_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "eddy/forwarder.h"
#include "src/forward/request_sender.h"
#include "src/forward/route_state.h"

namespace eddy::forward {

// Threads: Step by one caller at a time; the rest from anywhere.
class Route {
 public:
  virtual ~Route() = default;

  // Reads ahead, sends at most one request and settles its outcome. Returns how long
  // until the next step is worth taking, from now; zero: at once.
  virtual absl::Duration Step() = 0;

  // Lets the next step try again, whatever the back-off says.
  virtual void TryNow() = 0;

  // All but next_attempt, which only the caller of Step knows.
  virtual RouteStatus Status() const = 0;
};

// What every route is built from.
struct RouteParts {
  std::unique_ptr<RouteState> state;
  std::unique_ptr<RequestSender> sender;
  Clock* clock = nullptr;
  Store* store = nullptr;         // that the source and the dead letters are of
  Queue* dead_letters = nullptr;  // null: none
  RouteOptions options;
  // How long a route rests that a refused record blocks.
  absl::Duration pause_when_stuck;
};

// An entry that goes to the dead letters before anything else is sent, and why.
template <typename Id>
struct Condemned {
  Id id;
  absl::Status reason;
  // Without a dead-letter queue: false to ask the service again after a pause, since it
  // may have changed its mind; true where each asking would store another wrong copy.
  bool is_final = false;
};

// Between looks at a source that had nothing: from the linger, doubling to this.
inline constexpr absl::Duration kIdlePauseMin = absl::Milliseconds(10);
inline constexpr absl::Duration kIdlePauseMax = absl::Milliseconds(500);

// So many entries in a row that are refused alone go to the dead letters at once.
// Then the route backs off between them: more likely the target is wrong than all
// of them.
inline constexpr int kLoneRefusalsMax = 16;

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_ROUTE_H_
