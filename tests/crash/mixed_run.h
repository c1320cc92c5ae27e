// A store on a device in memory, with a bit of everything on it, and the judge of
// what it keeps.
//
// The work: a stream of two shards that is trimmed, one of one shard that keeps its
// newest 12 records, a cursor on each; a queue with delays, deletes and a dead-letter
// queue; transactions over all of them and a table; records and messages of 0 B to 100 kB, single and in batches; both
// durabilities; flushes, rounds of the background work, and time that passes. One
// thread, one seed, one outcome.
//
// The judge's promises, after a cut, a kill, or on a disk that has healed:
//   J1  What is durable is there, once, whole, in order, under its sequence number.
//   J2  What is accepted is there or not, whole in either case, and none is missing
//       before a later one of its shard.
//   J3  Nothing else is there: nothing that was never put or sent, or was refused.
//   J4  What a retention dropped is told by a gap that counts it exactly; nothing
//       but it, what was trimmed and what was deleted is missing.
//   J5  A trim, a delete, a cursor's place and a receive count are not forgotten
//       once they are durable, and are nowhere where nobody has moved them.
//   J6  The store goes on, and gives no sequence number a second time.
//   J7  A transaction is there whole or not at all, and is there if Transact said so.
#ifndef EDDY_TESTS_CRASH_MIXED_RUN_H_
#define EDDY_TESTS_CRASH_MIXED_RUN_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eddy/eddy.h"
#include "tests/crash/world.h"
#include "tests/fakes/device.h"
#include "tests/fakes/fake_random.h"

namespace eddy::crash {

struct MixedOptions {
  uint64_t seed = 1;
  Durability level = Durability::kPower;  // at kProcess one call in eight asks for kPower
  bool bad_disk = false;                  // calls may fail as a bad disk lets them
  size_t intake_bytes = 128 << 10;
  absl::Duration age;                     // a retention of the second stream too; 0: none
};

// How often the judge met what it is there for.
struct Sights {
  uint64_t gaps = 0;
  uint64_t dead_letters = 0;
  uint64_t trims = 0;          // durable ones
  uint64_t open_there = 0;     // records without an answer that are there
  uint64_t open_gone = 0;      // or not
  uint64_t accepted_gone = 0;  // that were not durable
  uint64_t transactions_there = 0;  // without an answer
  uint64_t transactions_gone = 0;   // or not

  void Add(const Sights& more);
};

// Threads:  one.
// Lifetime: the device outlives it.
class MixedRun {
 public:
  MixedRun(testing::Device* device, MixedOptions options);
  MixedRun(testing::Device* device, MixedOptions options, World world);

  // Called after each call to the store, before the world notes its answer: a cut
  // within the call leaves what `world` then knows.
  void AfterCalls(std::function<void()> called) { called_ = std::move(called); }
  // Called with what each call returned, times of the wall clock aside.
  void Trace(std::function<void(std::string)> trace) { trace_ = std::move(trace); }

  // Opens the store and all that is on it; makes what is not there yet. False: see
  // status.
  bool Open();
  const absl::Status& status() const { return status_; }

  void Step();  // one of the works, by chance
  bool Flush();

  // Holds the store to the world. Then the world is what is there.
  void Judge();
  void GoOn();  // J6

  // The first promise that did not hold; empty: all did.
  const std::string& broken() const { return broken_; }
  const Sights& sights() const { return sights_; }
  const World& world() const { return world_; }
  World* mutable_world() { return &world_; }
  Store* store() { return store_.get(); }
  std::unique_ptr<Store> TakeStore() { return std::move(store_); }

 private:
  struct Found;

  // To be called first with each answer. Whether it is a success; a failure is one
  // that a bad disk or a cut explains.
  template <typename Result>
  bool Answered(std::string_view call, const Result& result) {
    if (called_) called_();
    return IsSuccess(call, StatusOf(result));
  }
  bool IsSuccess(std::string_view call, const absl::Status& status);
  const absl::Status& StatusOf(const absl::Status& status) { return status; }
  template <typename T>
  absl::Status StatusOf(const absl::StatusOr<T>& result) {
    return result.status();
  }
  void Say(std::string_view call, const absl::Status& status, std::string_view more = "");
  void Hold(bool promise, std::string_view otherwise);

  absl::Status OpenAll();
  absl::StatusOr<Stream*> OpenStream(const std::string& name, const StreamOptions& options);
  absl::StatusOr<Queue*> OpenQueue(const std::string& name, const QueueOptions& options);
  absl::Status OpenCursor(size_t stream);

  Durability Level();
  uint32_t SomeBytes();
  Stream* StreamOf(size_t shard) { return streams_[shard / 2]; }
  Cursor* CursorOf(size_t shard) { return cursors_[shard / 2]; }
  static ShardId IdOf(size_t shard) { return static_cast<ShardId>(shard % 2); }
  static const char* HashKeyOf(size_t shard);
  void Accepted(size_t shard, KnownRecord* record, const absl::StatusOr<PutResult>& result,
                Durability level);
  void DoPut();
  void DoPutRecords();
  void DoSend();
  void DoReceive();
  void DoSettle(const Message& message);
  void DoCursor();
  void DoTrim();
  void DoCommit();
  void DoTransact();
  KnownTransaction PlanTransaction(std::string* receipt_handle);
  absl::Status RunPlan(const KnownTransaction& plan, uint32_t number,
                       const std::string& receipt_handle, Transaction& t);
  void NoteCommitted();

  void JudgeTransactions();
  void JudgeShard(size_t shard);
  Found ReadAll(size_t shard);
  void JudgeFront(size_t shard, const Found& found);
  void JudgeRecords(size_t shard, const Found& found);
  void JudgePlaces(size_t shard);
  void JudgeQueue(Queue* queue, bool dead, std::set<uint32_t>* seen);
  void JudgeMessages();

  testing::Device* const device_;
  const MixedOptions options_;
  testing::FakeRandom random_;
  std::function<void()> called_;
  std::function<void(std::string)> trace_;

  World world_;
  Sights sights_;
  std::string broken_;
  absl::Status status_;
  std::unique_ptr<Store> store_;
  std::array<Stream*, 2> streams_ = {};
  std::array<Cursor*, 2> cursors_ = {};
  Queue* queue_ = nullptr;
  Queue* dead_ = nullptr;
  // Number and receipt handle of messages received in this life and left so.
  std::vector<std::pair<uint32_t, std::string>> in_flight_;
};

}  // namespace eddy::crash

#endif  // EDDY_TESTS_CRASH_MIXED_RUN_H_
