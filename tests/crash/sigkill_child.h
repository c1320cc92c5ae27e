// The process that is killed: several producers put and send while consumers
// read, receive, delete and trim. What they are told they note in memory shared
// with the judge: before each call that it is tried, after it what it returned.
// So whatever was in the air at the kill counts as tried, and may have happened
// or not.
#ifndef EDDY_TESTS_CRASH_SIGKILL_CHILD_H_
#define EDDY_TESTS_CRASH_SIGKILL_CHILD_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "eddy/eddy.h"

namespace eddy::sigkill {

inline constexpr int kProducers = 3;
inline constexpr int kKeysEach = 4;
inline constexpr ShardId kShards = 2;
inline constexpr uint64_t kNumbersKept = 64;  // the newest sequence numbers of a key
inline constexpr uint64_t kMessagesMax = 1 << 17;

inline constexpr char kStream[] = "s";
inline constexpr char kCursor[] = "c";
inline constexpr char kQueue[] = "q";

enum Stage : uint32_t { kOpening, kWorking, kClosing, kClosed };
inline constexpr int kStages = 3;  // in which a kill can come

// All zero at the start. Each counter has one writer at a time: its thread of the
// child, or the judge while no child lives.
struct Account {
  struct Key {
    std::atomic<uint64_t> tried;
    std::atomic<uint64_t> accepted;
    std::atomic<uint64_t> numbers[kNumbersKept];  // of record n: numbers[n % kNumbersKept]
  };
  struct Place {
    std::atomic<uint64_t> tried;
    std::atomic<uint64_t> accepted;
    std::atomic<uint64_t> judged;  // the judge has read all below: it may be trimmed
  };
  struct Message {
    std::atomic<bool> accepted;
    std::atomic<bool> delete_tried;
    std::atomic<bool> deleted;
    std::atomic<uint16_t> count_shown;  // the highest receive count that a caller saw
  };
  Key keys[kProducers][kKeysEach];
  Place cursor[kShards];
  std::atomic<uint64_t> sends_tried;
  Message messages[kMessagesMax];  // by number, from 1
  std::atomic<uint32_t> errors;    // calls that failed, or what cannot be
  std::atomic<uint32_t> stage;
  std::atomic<bool> stop;          // by the judge: close now
};
static_assert(std::atomic<uint64_t>::is_always_lock_free, "shared between processes");

// Options of the child and the judge alike.
StoreOptions Options();
std::string KeyName(int producer, int key);

// Opens the store in `directory`, works until told to stop, closes, exits.
[[noreturn]] void RunChild(const std::string& directory, Account* account);

}  // namespace eddy::sigkill

#endif  // EDDY_TESTS_CRASH_SIGKILL_CHILD_H_
