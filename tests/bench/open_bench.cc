// How long Store::Open takes with 10 M records in the store, after a clean stop and
// after SIGKILL, and what it then holds in memory. Each store is filled by a child
// process; after SIGKILL what lies in the intake is recovered by the open timed.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <string>

#include "eddy/eddy.h"
#include "tests/bench/report.h"

namespace eddy::bench {
namespace {

constexpr int kRecords = 10000000;

void FillAndEnd(const std::string& directory, int records, bool kill_self) {
  const pid_t child = fork();
  if (child < 0) Die("fork failed");
  if (child == 0) {
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory);
    if (!store.ok()) Die(store.status().ToString());
    absl::StatusOr<Stream*> stream = (*store)->CreateStream("open");
    if (!stream.ok()) Die(stream.status().ToString());
    const std::string data(100, 'd');
    for (int i = 0; i < records; ++i) {
      if (!(*stream)->Put("sensor-01", data).ok()) Die("put failed");
    }
    if (kill_self) raise(SIGKILL);
    store->reset();
    _exit(0);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) Die("waitpid failed");
  const bool as_wanted = kill_self ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                                   : WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!as_wanted) Die("the process that fills the store did not end as it should");
}

double ResidentMb() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word != "VmRSS:") continue;
    double kb = 0;
    status >> kb;
    return kb / 1024;
  }
  Die("/proc/self/status has no VmRSS");
}

struct Opened {
  double ms = 0;
  double resident_mb = 0;  // gained by the open
};

// In a program of its own: a mere fork would inherit what earlier rounds left free
// in the allocator, and the open would take its memory from there uncounted.
Opened OpenInChild(const std::string& directory) {
  int ends[2];
  if (pipe(ends) != 0) Die("pipe failed");
  const pid_t child = fork();
  if (child < 0) Die("fork failed");
  if (child == 0) {
    if (dup2(ends[1], STDOUT_FILENO) < 0) Die("dup2 failed");
    execl("/proc/self/exe", "eddy_bench", directory.c_str(), "--probe-open",
          static_cast<char*>(nullptr));
    Die("cannot start the probe");
  }
  close(ends[1]);
  Opened opened;
  if (read(ends[0], &opened, sizeof(opened)) != sizeof(opened)) Die("the probe did not open");
  waitpid(child, nullptr, 0);
  close(ends[0]);
  return opened;
}

}  // namespace

void ProbeOpen(const std::string& directory) {
  Opened opened;
  const double before_mb = ResidentMb();
  const double start = Now();
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory);
  opened.ms = (Now() - start) * 1e3;
  if (!store.ok()) Die(store.status().ToString());
  opened.resident_mb = ResidentMb() - before_mb;
  if (write(STDOUT_FILENO, &opened, sizeof(opened)) != sizeof(opened)) Die("pipe is closed");
}

void RunOpen(const Setup& setup, Report* report) {
  const int records = setup.Scaled(kRecords);
  const std::string killed = setup.directory + "-killed";
  const std::string empty = setup.directory + "-empty";
  FillAndEnd(setup.directory, records, false);
  FillAndEnd(killed, records, true);
  FillAndEnd(empty, 0, false);
  const Opened clean = OpenInChild(setup.directory);
  const Opened recovered = OpenInChild(killed);
  const Opened idle = OpenInChild(empty);
  report->Add("open, 10 M records, after a clean stop", clean.ms, "ms", AtMost(50));
  report->Add("open, 10 M records, after SIGKILL", recovered.ms, "ms", AtMost(200));
  // What the open adds, of the intake only the pages it touched: an upper bound of
  // what is beyond the intake.
  report->Add("resident memory, idle, with what it touched of the intake", idle.resident_mb, "MB",
              AtMost(4));
  report->Add("resident memory, 10 M records more", clean.resident_mb - idle.resident_mb, "MB",
              AtMost(1));
}

}  // namespace eddy::bench
