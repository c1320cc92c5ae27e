// eddy_bench DIR [--rounds N] [--only NAME] [--quick] [--json FILE] [--plot FILE]
//                [--commit NAME] [--check]
// Runs in DIR, which should lie on the disk that counts; leaves nothing there.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/child.h"
#include "tests/bench/machine.h"

namespace eddy::bench {
namespace {

struct Subject {
  const char* name;
  const char* title;
  void (*run)(const Setup&, Report*);
  bool once;  // repeats by itself
};

constexpr Subject kSubjects[] = {
    {"accept", "accept, kProcess, 100 B", RunAccept, false},
    {"sustained", "sustained to disk, 100 B, 2.2 GB", RunSustained, false},
    {"power", "kPower, 100 B, one record a call", RunPower, false},
    {"wear", "wear at 1000 records/s of 200 B", RunWear, false},
    {"open", "open and memory", RunOpen, false},
    {"queue", "queue, 256 B, batches of 10", RunQueue, false},
    {"backlog", "queue with a backlog", RunBacklog, true},
    {"device", "beside device-storelibrary's figures, 256 B", RunDevice, false}};

struct Arguments {
  std::string directory;
  int rounds = 0;  // not given
  std::string only;
  std::string json;
  std::string plot;
  std::string commit = "unknown";
  bool quick = false;
  bool check = false;
};

Arguments Parse(int argc, char** argv) {
  if (argc < 2) {
    Die("usage: eddy_bench DIR [--rounds N] [--only NAME] [--quick] [--json FILE] [--plot FILE] "
        "[--commit NAME] [--check]");
  }
  Arguments arguments;
  arguments.directory = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 >= argc) Die(word + " wants a value");
      return argv[++i];
    };
    if (word == "--rounds") {
      arguments.rounds = std::atoi(value().c_str());
    } else if (word == "--only") {
      arguments.only = value();
    } else if (word == "--json") {
      arguments.json = value();
    } else if (word == "--plot") {
      arguments.plot = value();
    } else if (word == "--commit") {
      arguments.commit = value();
    } else if (word == "--quick") {
      arguments.quick = true;
    } else if (word == "--check") {
      arguments.check = true;
    } else {
      Die("unknown argument " + word);
    }
  }
  if (arguments.rounds == 0) arguments.rounds = arguments.quick ? 1 : 3;
  if (arguments.rounds < 1) Die("--rounds: at least 1");
  if (arguments.check && (arguments.quick || arguments.rounds < static_cast<int>(kSamplesMin))) {
    Die("--check needs full sizes and at least " + std::to_string(kSamplesMin) + " rounds");
  }
  bool known = arguments.only.empty();
  std::string names;
  for (const Subject& subject : kSubjects) {
    known = known || arguments.only == subject.name;
    names += std::string(" ") + subject.name;
  }
  if (!known) Die("--only: one of" + names + ", not " + arguments.only);
  return arguments;
}

int Main(int argc, char** argv) {
  const Arguments arguments = Parse(argc, argv);
  const std::string root = arguments.directory + "/eddy-bench";
  Facts facts = MachineFacts(arguments.directory);
  facts.emplace_back("commit", arguments.commit);
  facts.emplace_back("sizes", arguments.quick ? "quick: these figures prove no bar" : "full");
  facts.emplace_back("rounds", std::to_string(arguments.rounds));
  Report report;
  const double start = Now();
  for (int round = 0; round < arguments.rounds; ++round) {
    for (const Subject& subject : kSubjects) {
      if (!arguments.only.empty() && arguments.only != subject.name) continue;
      if (subject.once && round > 0) continue;
      const double begun = Now();
      std::filesystem::remove_all(root);
      std::filesystem::create_directories(root);
      report.Begin(subject.title);
      subject.run({root + "/store", arguments.quick, arguments.rounds}, &report);
      std::fprintf(stderr, "round %d of %d: %s, %.0f s\n", round + 1, arguments.rounds,
                   subject.name, Now() - begun);
    }
  }
  std::filesystem::remove_all(root);
  facts.emplace_back("seconds", std::to_string(static_cast<int>(Now() - start)));
  report.PrintTable(facts);
  if (!arguments.json.empty() && !report.WriteJson(arguments.json, facts)) {
    Die("cannot write " + arguments.json);
  }
  if (!arguments.plot.empty() && !report.WritePlot(arguments.plot)) {
    Die("cannot write " + arguments.plot);
  }
  return arguments.check && !report.Check() ? 1 : 0;
}

}  // namespace
}  // namespace eddy::bench

int main(int argc, char** argv) {
  if (argc >= 3 && std::strcmp(argv[1], "--child") == 0) {
    return eddy::bench::RunPart(argv[2], std::vector<std::string>(argv + 3, argv + argc));
  }
  return eddy::bench::Main(argc, argv);
}
