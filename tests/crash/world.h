// What the world outside knows of a store: what it asked for and what it was told.
// After a crash, a power cut or a bad disk the store is held to it.
//
// Of each thing there are up to three marks, each implying the one before: *tried*
// (it may have happened), *accepted* (it has, and the death of the process does not
// undo it), *durable* (a power cut does not either).
#ifndef EDDY_TESTS_CRASH_WORLD_H_
#define EDDY_TESTS_CRASH_WORLD_H_

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eddy/types.h"

namespace eddy::crash {

enum class Outcome : uint8_t {
  kOpen,      // no answer, or one that leaves it open: there, once and whole, or not
  kAccepted,
  kRefused,   // told that it is not there
};

struct KnownRecord {
  uint32_t number = 0;  // says with `bytes` what its data is
  uint32_t bytes = 0;
  Outcome outcome = Outcome::kOpen;
  bool durable = false;
  SequenceNumber sequence_number = 0;  // if accepted
  bool whole = false;  // the rest of its transaction is there
};

struct KnownPlace {
  SequenceNumber tried = 0;
  SequenceNumber accepted = 0;
  SequenceNumber durable = 0;
};

struct KnownShard {
  std::vector<KnownRecord> records;  // in the order of their puts
  uint64_t dropped = 0;              // by the stream's retention, before `records`
  SequenceNumber highest = 0;        // ever given
  KnownPlace trim;
  KnownPlace cursor;
};

struct KnownMessage {
  uint32_t bytes = 0;
  Outcome outcome = Outcome::kOpen;
  bool durable = false;
  bool erase_tried = false;
  bool erase_accepted = false;
  bool erase_durable = false;
  bool dead = false;  // found in the dead-letter queue
  // A large one that a crash has left both where it was and among the dead letters,
  // as I2 of src/queue/queue_impl.h allows. Nothing more is asked of it.
  bool has_twin = false;
  int count_tried = 0;
  int count_accepted = 0;
  int count_durable = 0;
};

inline constexpr size_t kShardCount = 3;
inline constexpr uint32_t kLargeBytes = 4000;  // may go straight into a commit
inline constexpr int kReceivesMax = 3;  // before a message is a dead letter

// One whose outcome is not known, and what is there if it is: its row (its number) too.
struct KnownTransaction {
  std::vector<std::pair<size_t, uint32_t>> records;  // shard, number
  std::vector<uint32_t> sent;
  std::vector<uint32_t> deleted;
  size_t shard = 0;  // where the cursor moves to:
  SequenceNumber cursor = 0;
};

struct World {
  std::set<std::string> made;  // streams, queues and cursors that must exist
  std::array<KnownShard, kShardCount> shards;
  std::map<uint32_t, KnownMessage> messages;  // by number
  std::map<uint32_t, KnownTransaction> open_transactions;  // by number
  std::set<uint32_t> rows;  // of those that are committed
  uint32_t next_number = 1;

  KnownRecord* FindRecord(size_t shard, uint32_t number);
  // The open transaction is there, whole, or nothing of it is.
  void Decide(const KnownTransaction& transaction, bool is_there);
  // A commit has covered all that was accepted.
  void AllIsDurable();
};

// The bytes of a record or message, which say themselves what they should be.
std::string Bytes(uint32_t number, uint32_t bytes);
bool AreBytes(std::string_view data, uint32_t number, uint32_t bytes);
uint32_t NumberOf(std::string_view data);  // 0: none

}  // namespace eddy::crash

#endif  // EDDY_TESTS_CRASH_WORLD_H_
