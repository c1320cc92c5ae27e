// Thresholds: which readings need action. A few counters are watched by their
// rate, and an event is due when the rate rises above its limit and when it has
// come back. The limit follows the machine (half above its running mean), so
// that a small board and a large one both have something to tell.
#ifndef EDDY_EXAMPLES_THRESHOLD_H_
#define EDDY_EXAMPLES_THRESHOLD_H_

#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"

class Thresholds {
 public:
  struct Crossing {
    bool raised = false;  // else cleared
    double rate = 0;      // a second
    double limit = 0;
  };

  // Takes a reading of any sensor; a crossing if it is watched and crosses.
  std::optional<Crossing> Watch(const std::string& sensor, double value, absl::Time at) {
    const auto found = watched_.find(sensor);
    if (found == watched_.end()) return std::nullopt;
    State& state = found->second;
    const double seconds = absl::ToDoubleSeconds(at - state.at);
    const double rate = (value - state.value) / seconds;
    const bool is_first = state.at == absl::InfinitePast();
    state.value = value;
    state.at = at;
    if (is_first || seconds <= 0) return std::nullopt;

    if (state.mean == 0) state.mean = rate;
    const double limit = 1.5 * state.mean;
    const bool above = rate > limit;
    state.mean += 0.1 * (rate - state.mean);
    if (above == state.raised) return std::nullopt;
    state.raised = above;
    return Crossing{above, rate, limit};
  }

 private:
  struct State {
    double value = 0;
    absl::Time at = absl::InfinitePast();
    double mean = 0;  // of the rate, the last ten readings or so
    bool raised = false;
  };
  std::map<std::string, State> watched_ = {
      {"cpu.user", {}},   {"cpu.system", {}},     {"ctxt", {}},
      {"intr", {}},       {"net.lo.rx_bytes", {}}, {"vmstat.pgfault", {}},
      {"processes", {}},  {"vmstat.pgpgout", {}},
  };
};

#endif  // EDDY_EXAMPLES_THRESHOLD_H_
