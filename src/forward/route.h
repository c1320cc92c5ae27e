// Route: one way from the store to a service, in bounded steps.
#ifndef EDDY_SRC_FORWARD_ROUTE_H_
#define EDDY_SRC_FORWARD_ROUTE_H_

#include "absl/time/time.h"
#include "eddy/forwarder.h"

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

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_ROUTE_H_
