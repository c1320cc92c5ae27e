// How long Store::Open takes with 10 M records in the store, after a clean stop and
// after SIGKILL (what lies in the intake is recovered by the open that is timed), and
// what a program then holds in memory: see Weigh in parts.cc for what it has done
// before it is weighed. Each store is filled, opened and weighed by a process of its
// own.
#include <string>

#include "tests/bench/bench.h"
#include "tests/bench/child.h"

namespace eddy::bench {
namespace {

constexpr int kRecords = 10000000;

}  // namespace

void RunOpen(const Setup& setup, Report* report) {
  const std::string records = std::to_string(setup.Scaled(kRecords));
  const std::string& clean = setup.directory;
  const std::string killed = setup.directory + "-killed";
  RunInChild("fill", {clean, records, "100", "stop"});
  RunInChild("fill", {killed, records, "100", "kill"}, /*killed=*/true);
  report->Add("open, 10 M records, after a clean stop", RunInChild("open", {clean})[0], "ms",
              AtMost(50));
  report->Add("open, 10 M records, after SIGKILL", RunInChild("open", {killed})[0], "ms",
              AtMost(200));
  const double idle = RunInChild("memory", {setup.directory + "-idle", "1", "1"})[0];
  const double backlog = RunInChild("memory", {clean, "1", "1"})[0];
  const double streams = RunInChild("memory", {setup.directory + "-many", "1000", "10"})[0];
  report->Add("resident memory beyond the intake, idle", idle, "MB", AtMost(4));
  report->Add("resident memory, 10 M records more", backlog - idle, "MB", AtMost(1));
  report->Add("resident memory, 1000 streams, 10 active, more", streams - idle, "MB", AtMost(8));
}

}  // namespace eddy::bench
