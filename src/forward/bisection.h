// Bisection: which entry of a refused request is the bad one.
//
// A service refuses a whole request for one malformed entry and need not say for
// which. The refused entries are suspects; the next requests hold half of them, and
// only them, until one is refused alone: that one is guilty.
//
//     refused [a b c d]   next [a b]
//     accepted            suspects [c d], next [c]
//     accepted            suspects [d],   next [d]
//     refused             d is guilty: dead-letter it, then Cleared({d})
//
// Entries that were not in the request stay out of it: new arrivals cannot keep the
// bad one company for ever. Pure.
#ifndef EDDY_SRC_FORWARD_BISECTION_H_
#define EDDY_SRC_FORWARD_BISECTION_H_

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace eddy::forward {

template <typename Id>
class Bisection {
 public:
  // Whether the next request must be Next() and nothing else.
  bool active() const { return !suspects_.empty(); }

  // Half of the suspects, at least one.
  std::vector<Id> Next() const {
    const size_t count = suspects_.size() > 1 ? suspects_.size() / 2 : suspects_.size();
    return {suspects_.begin(), suspects_.begin() + static_cast<std::ptrdiff_t>(count)};
  }

  // The service refused `sent` as a whole; more than one of them.
  void Refused(std::vector<Id> sent) { suspects_ = std::move(sent); }

  // Not the guilty ones, or dead.
  void Cleared(const std::vector<Id>& ids) {
    const auto is_cleared = [&ids](const Id& id) {
      return std::find(ids.begin(), ids.end(), id) != ids.end();
    };
    suspects_.erase(std::remove_if(suspects_.begin(), suspects_.end(), is_cleared),
                    suspects_.end());
  }

 private:
  std::vector<Id> suspects_;
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_BISECTION_H_
