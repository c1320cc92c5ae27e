// What a benchmark says: numbers with a unit and, for some, a bar.
#ifndef EDDY_TESTS_BENCH_REPORT_H_
#define EDDY_TESTS_BENCH_REPORT_H_

#include <optional>
#include <string>
#include <vector>

namespace eddy::bench {

struct Bar {
  enum class Kind { kAtLeast, kAtMost };
  Kind kind = Kind::kAtLeast;
  double limit = 0;
};

struct Result {
  std::string name;
  double value = 0;
  std::string unit;
  std::optional<Bar> bar;
  std::string missing;  // why there is no value ("absent", "not yet measured"), or empty
  bool Holds() const;   // what was not measured does not hold
};

// Gathers results of several rounds and reports the median of each.
class Report {
 public:
  void Add(const std::string& name, double value, const std::string& unit,
           std::optional<Bar> bar = std::nullopt);
  // A bar that could not be measured. It does not hold.
  void AddMissing(const std::string& name, const std::string& why, const std::string& unit,
                  std::optional<Bar> bar = std::nullopt);
  void PrintTable() const;
  bool WriteJson(const std::string& path) const;
  // One line a measured bar, for plot.gp: name, tab, how many times over the bar
  // the value is (1: exactly on it; above 1: holds).
  bool WritePlot(const std::string& path) const;
  // Names each bar that does not hold on stderr; false if there is one.
  bool Check() const;

 private:
  std::vector<Result> Medians() const;
  std::vector<std::pair<Result, std::vector<double>>> entries_;  // in order of first Add
};

inline Bar AtLeast(double limit) { return {Bar::Kind::kAtLeast, limit}; }
inline Bar AtMost(double limit) { return {Bar::Kind::kAtMost, limit}; }

// --- the benchmarks; each adds to the report and may be run several times ----

struct Setup {
  std::string directory;  // of the store; what a benchmark needs besides lies beside it
  bool quick = false;     // a twentieth of each size, for development: no bar is proven
  int Scaled(int count) const { return quick ? count / 20 : count; }
};

void RunAccept(const Setup& setup, Report* report);
void RunSustained(const Setup& setup, Report* report);
void RunPower(const Setup& setup, Report* report);
void RunOpen(const Setup& setup, Report* report);
// RunOpen starts the program anew for this: opens the store, writes time and memory.
void ProbeOpen(const std::string& directory);
void RunQueue(const Setup& setup, Report* report);
void RunUnmeasured(const Setup& setup, Report* report);  // names the bars without a bench

double Now();  // seconds, steady

[[noreturn]] void Die(const std::string& what);

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_REPORT_H_
