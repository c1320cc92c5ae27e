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
  bool Holds() const;
};

// Gathers results of several rounds and reports the median of each.
class Report {
 public:
  void Add(const std::string& name, double value, const std::string& unit,
           std::optional<Bar> bar = std::nullopt);
  void PrintTable() const;
  bool WriteJson(const std::string& path) const;
  // Names each bar that does not hold on stderr; false if there is one.
  bool Check() const;

 private:
  std::vector<Result> Medians() const;
  std::vector<std::pair<Result, std::vector<double>>> entries_;  // in order of first Add
};

inline Bar AtLeast(double limit) { return {Bar::Kind::kAtLeast, limit}; }
inline Bar AtMost(double limit) { return {Bar::Kind::kAtMost, limit}; }

// --- the benchmarks; each adds to the report and may be run several times ----

// Accepting alone: 100 B records into an intake that has room for all of them,
// its pages touched before. What is accepted is committed afterwards, untimed.
void RunAccept(const std::string& directory, Report* report);

// Accept and group commit at the same time, 1 GB of payload, nothing lost;
// beside SQLite with one row a record, 1000 rows a transaction, FULL.
void RunSustained(const std::string& directory, Report* report);

// Rows a second of the peer, `rows` rows of 100 B with a 9 B key.
double SqliteRowsPerSecond(const std::string& directory, int rows, int rows_per_transaction);

double Now();  // seconds, steady

[[noreturn]] void Die(const std::string& what);

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_REPORT_H_
