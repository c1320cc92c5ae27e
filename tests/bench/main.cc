// eddy_bench DIR [--rounds N] [--json FILE] [--check]
// Runs in DIR, which should lie on the disk that counts; leaves nothing there.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "tests/bench/report.h"

int main(int argc, char** argv) {
  using eddy::bench::Die;
  if (argc < 2) Die("usage: eddy_bench DIR [--rounds N] [--json FILE] [--check]");
  const std::string root = std::string(argv[1]) + "/eddy-bench";
  int rounds = 3;
  std::string json;
  bool check = false;
  for (int i = 2; i < argc; ++i) {
    if (std::strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
      rounds = std::atoi(argv[++i]);
    } else if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
      json = argv[++i];
    } else if (std::strcmp(argv[i], "--check") == 0) {
      check = true;
    } else {
      Die(std::string("unknown argument ") + argv[i]);
    }
  }
  eddy::bench::Report report;
  for (int round = 0; round < rounds; ++round) {
    std::fprintf(stderr, "round %d of %d\n", round + 1, rounds);
    for (const auto run : {eddy::bench::RunAccept, eddy::bench::RunSustained}) {
      std::filesystem::remove_all(root);
      std::filesystem::create_directories(root);
      run(root + "/store", &report);
    }
  }
  std::filesystem::remove_all(root);
  report.PrintTable();
  if (!json.empty() && !report.WriteJson(json)) Die("cannot write " + json);
  return check && !report.Check() ? 1 : 0;
}
