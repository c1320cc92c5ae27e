#include "tests/bench/report.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace eddy::bench {

bool Result::Holds() const {
  if (!bar.has_value()) return true;
  if (!missing.empty()) return false;
  return bar->kind == Bar::Kind::kAtLeast ? value >= bar->limit : value <= bar->limit;
}

void Report::Add(const std::string& name, double value, const std::string& unit,
                 std::optional<Bar> bar) {
  for (auto& [result, values] : entries_) {
    if (result.name == name) {
      values.push_back(value);
      return;
    }
  }
  entries_.push_back({{name, value, unit, bar, ""}, {value}});
}

void Report::AddMissing(const std::string& name, const std::string& why, const std::string& unit,
                        std::optional<Bar> bar) {
  for (const auto& [result, values] : entries_) {
    if (result.name == name) return;
  }
  entries_.push_back({{name, 0, unit, bar, why}, {0}});
}

std::vector<Result> Report::Medians() const {
  std::vector<Result> medians;
  for (const auto& [result, values] : entries_) {
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    medians.push_back(result);
    medians.back().value = sorted[sorted.size() / 2];
  }
  return medians;
}

void Report::PrintTable() const {
  std::printf("%-58s %16s %-12s %-14s %s\n", "name", "value", "unit", "bar", "holds");
  for (const Result& r : Medians()) {
    char bar[32] = "";
    if (r.bar.has_value()) {
      std::snprintf(bar, sizeof(bar), "%s %g",
                    r.bar->kind == Bar::Kind::kAtLeast ? ">=" : "<=", r.bar->limit);
    }
    char value[32];
    std::snprintf(value, sizeof(value), "%.3f", r.value);
    std::printf("%-58s %16s %-12s %-14s %s\n", r.name.c_str(),
                r.missing.empty() ? value : r.missing.c_str(), r.unit.c_str(), bar,
                r.bar.has_value() ? (r.Holds() ? "yes" : "NO") : "");
  }
}

bool Report::WriteJson(const std::string& path) const {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  std::fprintf(file, "[");
  const char* separator = "\n";
  for (const Result& r : Medians()) {
    char value[32] = "null";
    if (r.missing.empty()) std::snprintf(value, sizeof(value), "%.6g", r.value);
    std::fprintf(file, "%s  {\"name\": \"%s\", \"value\": %s, \"unit\": \"%s\", \"bar\": ",
                 separator, r.name.c_str(), value, r.unit.c_str());
    if (r.bar.has_value()) {
      std::fprintf(file, "\"%s %g\", \"holds\": %s}",
                   r.bar->kind == Bar::Kind::kAtLeast ? ">=" : "<=", r.bar->limit,
                   r.Holds() ? "true" : "false");
    } else {
      std::fprintf(file, "null, \"holds\": null}");
    }
    separator = ",\n";
  }
  std::fprintf(file, "\n]\n");
  return std::fclose(file) == 0;
}

bool Report::WritePlot(const std::string& path) const {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  for (const Result& r : Medians()) {
    if (!r.bar.has_value() || !r.missing.empty() || r.value <= 0) continue;
    const double times = r.bar->kind == Bar::Kind::kAtLeast ? r.value / r.bar->limit
                                                            : r.bar->limit / r.value;
    std::fprintf(file, "%s\t%.6g\n", r.name.c_str(), times);
  }
  return std::fclose(file) == 0;
}

bool Report::Check() const {
  bool all = true;
  for (const Result& r : Medians()) {
    if (r.Holds()) continue;
    if (!r.missing.empty()) {
      std::fprintf(stderr, "bar does not hold: %s is %s\n", r.name.c_str(), r.missing.c_str());
      all = false;
      continue;
    }
    std::fprintf(stderr, "bar does not hold: %s is %.3f %s, wanted %s %g\n", r.name.c_str(),
                 r.value, r.unit.c_str(), r.bar->kind == Bar::Kind::kAtLeast ? ">=" : "<=",
                 r.bar->limit);
    all = false;
  }
  return all;
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void Die(const std::string& what) {
  std::fprintf(stderr, "bench: %s\n", what.c_str());
  std::exit(2);
}

}  // namespace eddy::bench
