// eddy_bench DIR [--rounds N] [--only NAME] [--quick] [--json FILE] [--plot FILE] [--check]
// Runs in DIR, which should lie on the disk that counts; leaves nothing there.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "tests/bench/report.h"

int main(int argc, char** argv) {
  using namespace eddy::bench;
  if (argc < 2) {
    Die("usage: eddy_bench DIR [--rounds N] [--only NAME] [--quick] [--json FILE] [--plot FILE] "
        "[--check]");
  }
  if (argc == 3 && std::strcmp(argv[2], "--probe-open") == 0) {
    ProbeOpen(argv[1]);
    return 0;
  }
  const std::string root = std::string(argv[1]) + "/eddy-bench";
  int rounds = 3;
  std::string json;
  std::string plot;
  std::string only;
  bool quick = false;
  bool check = false;
  for (int i = 2; i < argc; ++i) {
    if (std::strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
      rounds = std::atoi(argv[++i]);
    } else if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
      json = argv[++i];
    } else if (std::strcmp(argv[i], "--plot") == 0 && i + 1 < argc) {
      plot = argv[++i];
    } else if (std::strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
      only = argv[++i];
    } else if (std::strcmp(argv[i], "--quick") == 0) {
      quick = true;
    } else if (std::strcmp(argv[i], "--check") == 0) {
      check = true;
    } else {
      Die(std::string("unknown argument ") + argv[i]);
    }
  }
  if (check && (quick || !only.empty())) Die("--check needs every bar at its full size");
  const struct {
    const char* name;
    void (*run)(const Setup&, Report*);
  } subjects[] = {{"accept", RunAccept}, {"sustained", RunSustained}, {"power", RunPower},
                  {"open", RunOpen},     {"queue", RunQueue},         {"unmeasured", RunUnmeasured}};
  Report report;
  bool known = only.empty();
  for (int round = 0; round < rounds; ++round) {
    for (const auto& subject : subjects) {
      if (!only.empty() && only != subject.name) continue;
      known = true;
      std::fprintf(stderr, "round %d of %d: %s\n", round + 1, rounds, subject.name);
      std::filesystem::remove_all(root);
      std::filesystem::create_directories(root);
      subject.run({root + "/store", quick}, &report);
    }
  }
  if (!known) Die("--only: accept, sustained, power, open, queue or unmeasured, not " + only);
  if (quick) std::printf("QUICK: a twentieth of each size; these figures prove no bar\n");
  std::filesystem::remove_all(root);
  report.PrintTable();
  if (!json.empty() && !report.WriteJson(json)) Die("cannot write " + json);
  if (!plot.empty() && !report.WritePlot(plot)) Die("cannot write " + plot);
  return check && !report.Check() ? 1 : 0;
}
