// What a benchmark says: numbers with a unit and, for some, a bar.
//
// A number is the median of its samples. A ratio beside a peer is sampled slice by
// slice, both sides in turn in one process, so that what else the machine does falls
// on both: each slice gives one ratio.
#ifndef EDDY_TESTS_BENCH_REPORT_H_
#define EDDY_TESTS_BENCH_REPORT_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace eddy::bench {

inline constexpr size_t kSamplesMin = 3;  // fewer prove no bar

struct Bar {
  enum class Kind { kAtLeast, kAtMost };
  Kind kind = Kind::kAtLeast;
  double limit = 0;
};
inline Bar AtLeast(double limit) { return {Bar::Kind::kAtLeast, limit}; }
inline Bar AtMost(double limit) { return {Bar::Kind::kAtMost, limit}; }

struct Result {
  std::string group;
  std::string name;
  std::string unit;
  std::optional<Bar> bar;
  std::string missing;  // why there is no value ("absent", "not yet measured"), or empty
  std::vector<double> samples;

  double Median() const;
  double Least() const;
  double Most() const;
  bool Holds() const;        // what was not measured does not hold
  double TimesTheBar() const;  // 1: exactly on it; above 1: holds
};

// What is said beside the numbers: the machine, the commit, the date.
using Facts = std::vector<std::pair<std::string, std::string>>;

class Report {
 public:
  // Results that are added from now on belong to it.
  void Begin(const std::string& group) { group_ = group; }
  // One more sample of what has this name.
  void Add(const std::string& name, double value, const std::string& unit,
           std::optional<Bar> bar = std::nullopt);
  // What could not be measured. Its bar does not hold.
  void AddMissing(const std::string& name, const std::string& why, const std::string& unit,
                  std::optional<Bar> bar = std::nullopt);

  void PrintTable(const Facts& facts) const;
  bool WriteJson(const std::string& path, const Facts& facts) const;
  // For picture.sh, one line a row, fields with a tab in between: group, name, unit,
  // median, least, most, bar (">= 4"), times the bar of median, least and most,
  // whether it holds (1 or 0). A row without a bar has "-" in the last five.
  bool WritePlot(const std::string& path) const;
  // Names each bar that does not hold on stderr; false if there is one.
  bool Check() const;

 private:
  Result* Find(const std::string& name);
  std::string group_;
  std::vector<Result> results_;  // in order of first Add
};

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_REPORT_H_
