// The parts that RunInChild starts. See child.h.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/child.h"
#include "tests/bench/cycle.h"
#include "tests/bench/memory.h"

namespace eddy::bench {
namespace {

using Arguments = std::vector<std::string>;

int Number(const std::string& text) { return std::atoi(text.c_str()); }

void Fill(const Arguments& arguments) {
  std::unique_ptr<Store> store = OpenStore(arguments[0]);
  Stream* const stream = Ok(store->CreateStream("s0"));
  const std::string data(static_cast<size_t>(Number(arguments[2])), 'd');
  for (int i = Number(arguments[1]); i > 0; --i) Ok(stream->Put(kKey, data));
  if (arguments[3] == "kill") std::raise(SIGKILL);
}

void TimeOpen(const Arguments& arguments) {
  const double start = Now();
  const std::unique_ptr<Store> store = OpenStore(arguments[0]);
  std::printf("%.9g\n", (Now() - start) * 1e3);
}

// What a program holds that has opened the store and all its streams, and puts,
// flushes and reads on the first of them: 100 000 records in all, so that the
// intake has gone round and each cache is as full as it gets. Then it rests for a
// flush interval and is weighed.
void Weigh(const Arguments& arguments) {
  const double before_mb = ResidentMbBeyondIntake();
  const int stream_count = Number(arguments[1]);
  const int active = Number(arguments[2]);
  constexpr int kPuts = 100000;
  std::unique_ptr<Store> store = OpenStore(arguments[0]);
  std::vector<Stream*> streams;
  for (int i = 0; i < stream_count; ++i) {
    const std::string name = "s" + std::to_string(i);
    absl::StatusOr<Stream*> stream = store->OpenStream(name);
    streams.push_back(stream.ok() ? *stream : Ok(store->CreateStream(name)));
  }
  const std::string data(100, 'd');
  std::vector<std::string> iterators;
  for (int i = 0; i < active; ++i) {
    ShardIteratorPosition latest;
    latest.type = ShardIteratorType::kLatest;
    iterators.push_back(Ok(streams[static_cast<size_t>(i)]->GetShardIterator(0, latest)));
  }
  constexpr int kPutsATime = 1000;
  GetRecordsOptions limit;
  limit.limit = kPutsATime;
  for (int done = 0; done < kPuts; done += kPutsATime * active) {
    for (int i = 0; i < active; ++i) {
      Stream* const stream = streams[static_cast<size_t>(i)];
      for (int j = 0; j < kPutsATime; ++j) Ok(stream->Put(kKey, data));
    }
    Ok(store->Flush());
    for (size_t i = 0; i < iterators.size(); ++i) {
      const RecordBatch batch = Ok(streams[i]->GetRecords(iterators[i], limit));
      if (batch.records.size() != kPutsATime) Die("a read gave fewer records than there are");
      iterators[i] = batch.next_shard_iterator;
    }
  }
  // From the oldest on: what the backlog costs a reader is weighed too.
  std::string oldest = Ok(streams[0]->GetShardIterator(0, {}));
  for (int i = 0; i < 20; ++i) {
    oldest = Ok(streams[0]->GetRecords(oldest, limit)).next_shard_iterator;
  }
  SleepSeconds(1.2);
  std::printf("%.9g\n", ResidentMbBeyondIntake() - before_mb);
}

void FillQueue(const Arguments& arguments) {
  std::unique_ptr<Store> store = OpenStore(arguments[0]);
  QueueOptions options;
  options.durability = Durability::kProcess;
  Queue* const queue = Ok(store->CreateQueue(kCycleQueue, options));
  SendMessages(queue, Number(arguments[1]));
}

void CycleQueue(const Arguments& arguments) {
  const double before_mb = ResidentMbBeyondIntake();
  std::unique_ptr<Store> store = OpenStore(arguments[0]);
  Queue* const queue = Ok(store->OpenQueue(kCycleQueue));
  const int messages = Number(arguments[1]);
  Cycle(queue, messages / 10);  // warms up
  const double start = Now();
  Cycle(queue, messages);
  Ok(store->Flush());
  const double rate = messages / (Now() - start);
  SleepSeconds(1.2);
  std::printf("%.9g %.9g\n", rate, ResidentMbBeyondIntake() - before_mb);
}

}  // namespace

int RunPart(const std::string& part, const Arguments& arguments) {
  const struct {
    const char* name;
    size_t argument_count;
    void (*run)(const Arguments&);
  } parts[] = {{"fill", 4, Fill},
               {"open", 1, TimeOpen},
               {"memory", 3, Weigh},
               {"fill-queue", 2, FillQueue},
               {"cycle", 2, CycleQueue}};
  for (const auto& known : parts) {
    if (part != known.name || arguments.size() != known.argument_count) continue;
    known.run(arguments);
    return 0;
  }
  Die("no part " + part + " with so many arguments");
}

}  // namespace eddy::bench
