// Checker: visits every state that a model can reach, and says what is wrong
// with the first that is.
//
// A model is a set of threads that take turns; a state is plain bytes. The
// checker goes breadth first, so that what it finds, it finds by one of the
// shortest ways, which it prints step by step. It looks for
//   - a step that names a promise it breaks
//   - a state from which no end can be reached any more: a deadlock, a sleeper
//     whom nobody wakes, threads that turn in circles
//
// States are remembered by a 64-bit hash. Two states that share one would hide
// what lies behind the second: among n states with a probability of n^2 / 2^65,
// less than one in ten million for the largest model here.
// Depends on nothing of eddy.
#ifndef EDDY_TESTS_MODEL_CHECKER_H_
#define EDDY_TESTS_MODEL_CHECKER_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace eddy::model {

// One way on from a state. `broken` names the promise that the step breaks.
template <typename State>
struct Step {
  const char* name = "";
  int thread = 0;
  State to;
  const char* broken = nullptr;
};

struct Verdict {
  std::string broken;  // empty: every promise holds in every state
  std::string way;     // to it, a step a line
  uint64_t states = 0;
  uint64_t steps = 0;
};

// A Model has
//   State Start() const;
//   void Next(const State& from, std::vector<Step<State>>* steps) const;
//   bool IsEnd(const State& state) const;
// Next lists the steps of a state in the same order each time.
template <typename Model, typename State>
class Checker {
  static_assert(std::has_unique_object_representations_v<State>, "hashed as it lies");

 public:
  explicit Checker(const Model& model) : model_(model) {}

  // `states_max` is a bound on memory: some 60 bytes a state.
  Verdict Run(uint32_t states_max) {
    Verdict verdict;
    std::vector<Step<State>> steps;
    std::vector<std::pair<uint32_t, State>> level, next_level;
    Add(model_.Start(), 0, 0, &next_level);
    while (!next_level.empty()) {
      level.swap(next_level);
      next_level.clear();
      for (const auto& [from, state] : level) {
        if (model_.IsEnd(state)) ends_.push_back(from);
        steps.clear();
        model_.Next(state, &steps);
        for (size_t i = 0; i < steps.size(); ++i) {
          ++verdict.steps;
          if (steps[i].broken != nullptr) {
            verdict.broken = steps[i].broken;
            verdict.way = Way(from) + Line(steps[i]);
            verdict.states = arrivals_.size();
            return verdict;
          }
          const uint32_t to = Add(steps[i].to, from, static_cast<uint8_t>(i), &next_level);
          edges_.emplace_back(to, from);
        }
        if (arrivals_.size() > states_max) {
          verdict.broken = absl::StrCat("there are more than ", states_max, " states");
          return verdict;
        }
      }
    }
    verdict.states = arrivals_.size();
    const uint32_t lost = FirstWithoutEnd();
    if (lost != kNone) {
      verdict.broken = "no end can be reached any more";
      verdict.way = Way(lost);
    }
    return verdict;
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Arrival {
    uint32_t from;
    uint8_t step;
  };

  static uint64_t Hash(const State& state) {
    unsigned char bytes[(sizeof(State) + 7) / 8 * 8] = {};
    std::memcpy(bytes, &state, sizeof(state));
    uint64_t hash = 0x9e3779b97f4a7c15u;
    for (size_t at = 0; at < sizeof(bytes); at += 8) {
      uint64_t word;
      std::memcpy(&word, bytes + at, 8);
      hash = (hash ^ word) * 0xff51afd7ed558ccdu;
      hash ^= hash >> 32;
      hash *= 0xc4ceb9fe1a85ec53u;
      hash ^= hash >> 29;
    }
    return hash;
  }

  uint32_t Add(const State& state, uint32_t from, uint8_t step,
               std::vector<std::pair<uint32_t, State>>* level) {
    const auto [it, is_new] =
        known_.try_emplace(Hash(state), static_cast<uint32_t>(arrivals_.size()));
    if (is_new) {
      arrivals_.push_back({from, step});
      level->emplace_back(it->second, state);
    }
    return it->second;
  }

  // The first state found from which no end can be reached, by going back from
  // all ends at once.
  uint32_t FirstWithoutEnd() {
    std::vector<uint32_t> first(arrivals_.size() + 1, 0);  // counting sort by target
    for (const auto& [to, from] : edges_) ++first[to + 1];
    for (size_t i = 1; i < first.size(); ++i) first[i] += first[i - 1];
    std::vector<uint32_t> sources(edges_.size());
    std::vector<uint32_t> at(first.begin(), first.end() - 1);
    for (const auto& [to, from] : edges_) sources[at[to]++] = from;
    std::vector<bool> reaches(arrivals_.size());
    for (const uint32_t end : ends_) reaches[end] = true;
    for (std::vector<uint32_t> left = ends_; !left.empty();) {
      const uint32_t state = left.back();
      left.pop_back();
      for (uint32_t i = first[state]; i < first[state + 1]; ++i) {
        if (reaches[sources[i]]) continue;
        reaches[sources[i]] = true;
        left.push_back(sources[i]);
      }
    }
    for (uint32_t i = 0; i < reaches.size(); ++i) {
      if (!reaches[i]) return i;
    }
    return kNone;
  }

  static std::string Line(const Step<State>& step) {
    return absl::StrCat("  thread ", step.thread, ": ", step.name, "\n");
  }

  std::string Way(uint32_t state) const {
    std::vector<uint8_t> taken;
    for (; state != 0; state = arrivals_[state].from) taken.push_back(arrivals_[state].step);
    std::string lines;
    State at = model_.Start();
    for (auto step = taken.rbegin(); step != taken.rend(); ++step) {
      std::vector<Step<State>> steps;
      model_.Next(at, &steps);
      lines += Line(steps[*step]);
      at = steps[*step].to;
    }
    return lines;
  }

  const Model& model_;
  absl::flat_hash_map<uint64_t, uint32_t> known_;  // hash of a state -> its number
  std::vector<Arrival> arrivals_;                  // by number: how it was first reached
  std::vector<std::pair<uint32_t, uint32_t>> edges_;  // to, from
  std::vector<uint32_t> ends_;
};

}  // namespace eddy::model

#endif  // EDDY_TESTS_MODEL_CHECKER_H_
