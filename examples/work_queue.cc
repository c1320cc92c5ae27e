// Work through a queue: a job that fails comes back, and one that keeps failing
// goes to the dead-letter queue with the reason, so that it cannot block the rest.
//   work_queue [DIR]
#include <cstdio>
#include <string>

#include "eddy/eddy.h"

namespace {

constexpr int kAttemptsMax = 3;

// Stands for what really may fail: a valve that sticks, a bus that times out.
absl::Status Handle(const eddy::Message& job) {
  if (job.body == "open valve 3") return absl::UnavailableError("valve 3 is stuck");
  return absl::OkStatus();
}

absl::Status Run(const std::string& directory) {
  auto store = eddy::Store::Open(directory);
  if (!store.ok()) return store.status();
  auto failed = (*store)->CreateQueue("failed-jobs");
  if (!failed.ok()) return failed.status();

  eddy::QueueOptions options;
  options.visibility_timeout = absl::Seconds(30);  // a worker that dies gives its job back
  options.dead_letter_queue = "failed-jobs";
  options.max_receive_count = kAttemptsMax;
  auto jobs = (*store)->CreateQueue("jobs", options);
  if (!jobs.ok()) return jobs.status();

  for (const char* job : {"open valve 1", "open valve 2", "open valve 3", "open valve 4"}) {
    const auto sent = (*jobs)->Send(job);  // OK: it survives a power cut
    if (!sent.ok()) return sent.status();
  }

  eddy::ReceiveOptions receive;
  receive.max_messages = 10;
  receive.wait_time = absl::Milliseconds(200);  // sleeps on a condition, does not poll
  for (;;) {
    const auto messages = (*jobs)->Receive(receive);
    if (!messages.ok()) return messages.status();
    if (messages->empty()) break;
    for (const eddy::Message& job : *messages) {
      const absl::Status done = Handle(job);
      std::printf("attempt %d of \"%s\": %s\n", job.receive_count, job.body.c_str(),
                  done.ok() ? "done" : std::string(done.message()).c_str());
      // Delete is the acknowledgement. A visibility timeout of zero gives the
      // job back at once; doing nothing would give it back in 30 seconds.
      const absl::Status told =
          done.ok() ? (*jobs)->Delete(job.receipt_handle)
                    : (*jobs)->ChangeVisibility(job.receipt_handle, absl::ZeroDuration());
      if (!told.ok()) return told;
    }
  }

  const auto letters = (*failed)->Receive(receive);
  if (!letters.ok()) return letters.status();
  for (const eddy::Message& letter : *letters) {
    std::printf("given up: \"%s\" from %s: %s\n", letter.body.c_str(),
                letter.dead_letter_source.c_str(), letter.dead_letter_reason.c_str());
    const absl::Status deleted = (*failed)->Delete(letter.receipt_handle);
    if (!deleted.ok()) return deleted;
  }
  return letters->size() == 1 ? absl::OkStatus()
                              : absl::InternalError("expected one job to be given up");
}

}  // namespace

int main(int argc, char** argv) {
  const absl::Status status = Run(argc > 1 ? argv[1] : "work-store");
  if (status.ok()) return 0;
  std::fprintf(stderr, "work_queue: %s\n", status.ToString().c_str());
  return 1;
}
