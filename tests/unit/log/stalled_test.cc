// A producer that loses its processor between claim and publish, for as long as a test likes:
// its bytes lie on a page that faults, and all else happens within the fault.
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <functional>

#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

// A signal's handler knows only what is global.
char* page = nullptr;
std::function<void()>* meanwhile = nullptr;

void OnFault(int, siginfo_t* info, void*) {
  if (page == nullptr || info->si_addr < page || info->si_addr >= page + 4096) {
    _exit(99);  // a fault of another kind, which would come again for ever
  }
  mprotect(page, 4096, PROT_READ | PROT_WRITE);
  (*meanwhile)();
}

// Appends to the log; `work` runs when the frame is claimed and not yet published.
absl::StatusOr<Appended> AppendStalled(Log* log, std::function<void()> work) {
  page = static_cast<char*>(
      mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(page != MAP_FAILED);
  meanwhile = &work;
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, &before);
  FrameParts parts;
  parts.body = {page, 100};
  const absl::StatusOr<Appended> appended = log->TryAppend(parts);
  sigaction(SIGSEGV, &before, nullptr);
  munmap(page, 4096);
  page = nullptr;
  return appended;
}

// Whoever sleeps gives others time to append.
class BusyClock : public testing::FakeClock {
 public:
  void Wait(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
            absl::Duration timeout) override {
    lock.unlock();
    if (others) others();
    lock.lock();
    FakeClock::Wait(lock, condition, timeout);
  }
  std::function<void()> others;
};

TEST_CASE("a stalled producer does not keep a log from the segments of the others",
          "[log][append][full]") {
  BusyClock clock;
  LogFixture f;  // 4 segments
  f.options.store.platform.clock = &clock;
  f.CloseAndReopen();
  std::vector<Log*> logs;
  REQUIRE(f.engine
              ->WithDatabase([&](sql::Database& db) {
                for (int i = 0; i < 4; ++i) {
                  absl::StatusOr<Log*> made = f.engine->AddLog(db);
                  if (!made.ok()) return made.status();
                  logs.push_back(*made);
                }
                return absl::OkStatus();
              })
              .ok());
  FrameParts parts;
  parts.body = "reading";
  absl::Status waited;
  int appended = 0;
  const absl::StatusOr<Appended> stalled = AppendStalled(f.log, [&] {
    for (int i = 0; i < 3; ++i) appended += logs[i]->TryAppend(parts).ok();  // a segment each
    // Those that have a segment go on; who has none waits for one.
    clock.others = [&] {
      for (Log* log : logs) {
        if (f.engine->Stats().intake_segments_free == 0) appended += log->TryAppend(parts).ok();
      }
    };
    for (int i = 0; i < 20 && waited.ok(); ++i) {
      waited = logs[(3 + i) % 4]->Append(parts, absl::Seconds(5)).status();
    }
    clock.others = nullptr;
  });
  CHECK(stalled.ok());
  INFO(waited.ToString() << "; without a wait " << appended << " were appended");
  CHECK(waited.ok());
  CHECK(f.engine->Flush().ok());
}

}  // namespace
}  // namespace eddy::log
