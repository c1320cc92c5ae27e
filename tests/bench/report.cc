#include "tests/bench/report.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace eddy::bench {

bool Result::Holds() const {
  if (!bar.has_value()) return true;
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
  entries_.push_back({{name, value, unit, bar}, {value}});
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
  std::printf("%-58s %14s %-12s %-14s %s\n", "name", "value", "unit", "bar", "holds");
  for (const Result& r : Medians()) {
    char bar[32] = "";
    if (r.bar.has_value()) {
      std::snprintf(bar, sizeof(bar), "%s %g",
                    r.bar->kind == Bar::Kind::kAtLeast ? ">=" : "<=", r.bar->limit);
    }
    std::printf("%-58s %14.3f %-12s %-14s %s\n", r.name.c_str(), r.value, r.unit.c_str(), bar,
                r.bar.has_value() ? (r.Holds() ? "yes" : "NO") : "");
  }
}

bool Report::WriteJson(const std::string& path) const {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  std::fprintf(file, "[");
  const char* separator = "\n";
  for (const Result& r : Medians()) {
    std::fprintf(file, "%s  {\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"bar\": ",
                 separator, r.name.c_str(), r.value, r.unit.c_str());
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

bool Report::Check() const {
  bool all = true;
  for (const Result& r : Medians()) {
    if (r.Holds()) continue;
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
