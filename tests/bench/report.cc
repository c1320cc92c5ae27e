#include "tests/bench/report.h"

#include <algorithm>
#include <cstdio>

namespace eddy::bench {
namespace {

// Some digits, whatever the size: 0.0042, 1.53, 24512.
std::string NumberText(double value) {
  char text[32];
  const double size = value < 0 ? -value : value;
  std::snprintf(text, sizeof(text), size >= 1000 ? "%.0f" : "%.3g", value);
  return text;
}

std::string BarText(const Result& r) {
  if (!r.bar.has_value()) return "";
  return (r.bar->kind == Bar::Kind::kAtLeast ? ">= " : "<= ") + NumberText(r.bar->limit);
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) >= ' ') quoted += c;
  }
  return quoted + '"';
}

}  // namespace

double Result::Median() const {
  if (samples.empty()) return 0;
  std::vector<double> sorted = samples;
  std::sort(sorted.begin(), sorted.end());
  const size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

double Result::Least() const {
  return samples.empty() ? 0 : *std::min_element(samples.begin(), samples.end());
}

double Result::Most() const {
  return samples.empty() ? 0 : *std::max_element(samples.begin(), samples.end());
}

bool Result::Holds() const {
  if (!bar.has_value()) return true;
  if (!missing.empty()) return false;
  return bar->kind == Bar::Kind::kAtLeast ? Median() >= bar->limit : Median() <= bar->limit;
}

double Result::TimesTheBar() const {
  // Nothing at all (no byte more, say) is as far as the picture reaches.
  constexpr double kFarthest = 100;
  if (!bar.has_value()) return 0;
  const double value = Median();
  if (bar->kind == Bar::Kind::kAtLeast) return std::min(kFarthest, value / bar->limit);
  return value <= bar->limit / kFarthest ? kFarthest : bar->limit / value;
}

Result* Report::Find(const std::string& name) {
  for (Result& result : results_) {
    if (result.group == group_ && result.name == name) return &result;
  }
  return nullptr;
}

void Report::Add(const std::string& name, double value, const std::string& unit,
                 std::optional<Bar> bar) {
  Result* const known = Find(name);
  if (known != nullptr) {
    known->samples.push_back(value);
  } else {
    results_.push_back({group_, name, unit, bar, "", {value}});
  }
}

void Report::AddMissing(const std::string& name, const std::string& why, const std::string& unit,
                        std::optional<Bar> bar) {
  if (Find(name) == nullptr) results_.push_back({group_, name, unit, bar, why, {}});
}

void Report::PrintTable(const Facts& facts) const {
  for (const auto& [name, value] : facts) std::printf("%s: %s\n", name.c_str(), value.c_str());
  std::string group;
  for (const Result& r : results_) {
    if (r.group != group) {
      group = r.group;
      std::printf("\n%-56s %10s %-12s %21s %3s  %-9s %s\n", group.c_str(), "median", "unit",
                  "least .. most", "of", "bar", "holds");
    }
    const std::string range = NumberText(r.Least()) + " .. " + NumberText(r.Most());
    std::printf("  %-54s %10s %-12s %21s %3zu  %-9s %s\n", r.name.c_str(),
                r.missing.empty() ? NumberText(r.Median()).c_str() : "-", r.unit.c_str(),
                r.missing.empty() ? range.c_str() : r.missing.c_str(), r.samples.size(),
                BarText(r).c_str(), r.bar.has_value() ? (r.Holds() ? "yes" : "NO") : "");
  }
}

bool Report::WriteJson(const std::string& path, const Facts& facts) const {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  std::fprintf(file, "{\n");
  for (const auto& [name, value] : facts) {
    std::fprintf(file, "  %s: %s,\n", Quoted(name).c_str(), Quoted(value).c_str());
  }
  std::fprintf(file, "  \"results\": [");
  const char* separator = "\n";
  for (const Result& r : results_) {
    std::fprintf(file, "%s    {\"group\": %s, \"name\": %s, \"unit\": %s, ", separator,
                 Quoted(r.group).c_str(), Quoted(r.name).c_str(), Quoted(r.unit).c_str());
    if (r.missing.empty()) {
      std::fprintf(file, "\"median\": %.6g, \"least\": %.6g, \"most\": %.6g, ", r.Median(),
                   r.Least(), r.Most());
    } else {
      std::fprintf(file, "\"median\": null, \"missing\": %s, ", Quoted(r.missing).c_str());
    }
    std::fprintf(file, "\"samples\": %zu, ", r.samples.size());
    if (r.bar.has_value()) {
      std::fprintf(file, "\"bar\": %s, \"holds\": %s}", Quoted(BarText(r)).c_str(),
                   r.Holds() ? "true" : "false");
    } else {
      std::fprintf(file, "\"bar\": null, \"holds\": null}");
    }
    separator = ",\n";
  }
  std::fprintf(file, "\n  ]\n}\n");
  return std::fclose(file) == 0;
}

bool Report::WritePlot(const std::string& path) const {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  for (const Result& r : results_) {
    if (!r.missing.empty()) {
      std::fprintf(file, "%s\t%s\t%s\t%s\t-\t-\t%s\t-\t-\t-\t%s\n", r.group.c_str(),
                   r.name.c_str(), r.unit.c_str(), r.missing.c_str(),
                   r.bar.has_value() ? BarText(r).c_str() : "-",
                   r.bar.has_value() ? "0" : "-");
      continue;
    }
    std::fprintf(file, "%s\t%s\t%s\t%s\t%s\t%s\t", r.group.c_str(), r.name.c_str(),
                 r.unit.c_str(), NumberText(r.Median()).c_str(), NumberText(r.Least()).c_str(),
                 NumberText(r.Most()).c_str());
    if (!r.bar.has_value()) {
      std::fprintf(file, "-\t-\t-\t-\t-\n");
      continue;
    }
    Result end = r;
    end.samples = {r.Least()};
    const double one = end.TimesTheBar();
    end.samples = {r.Most()};
    const double other = end.TimesTheBar();
    std::fprintf(file, "%s\t%.4g\t%.4g\t%.4g\t%d\n", BarText(r).c_str(), r.TimesTheBar(),
                 std::min(one, other), std::max(one, other), r.Holds() ? 1 : 0);
  }
  return std::fclose(file) == 0;
}

bool Report::Check() const {
  bool all = true;
  for (const Result& r : results_) {
    if (!r.bar.has_value()) continue;
    const std::string name = r.group + ": " + r.name;
    if (!r.missing.empty()) {
      std::fprintf(stderr, "bar does not hold: %s is %s\n", name.c_str(), r.missing.c_str());
    } else if (!r.Holds()) {
      std::fprintf(stderr, "bar does not hold: %s is %s %s, wanted %s\n", name.c_str(),
                   NumberText(r.Median()).c_str(), r.unit.c_str(), BarText(r).c_str());
    } else if (r.samples.size() < kSamplesMin) {
      std::fprintf(stderr, "bar not proven: %s was measured %zu times, wanted %zu\n",
                   name.c_str(), r.samples.size(), kSamplesMin);
    } else {
      continue;
    }
    all = false;
  }
  return all;
}

}  // namespace eddy::bench
