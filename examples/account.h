// Account: what the gateway has taken and what the store has accepted, in a
// mapped file that survives SIGKILL, for a judge who trusts neither.
//
// Each run of the gateway has a file of its own. Its rows, one a key, 80 bytes:
//
//     key, zero-padded (56) | captured (8) | accepted (8) | refused (8)
//
// in the machine's byte order. The steps of one reading, and what a SIGKILL
// after each leaves behind:
//   1. captured += 1; the reading's number n is captured - refused
//   2. Put                     -> captured is ahead by one: the reading was
//                                 accepted or not, nobody can know, and both
//                                 are right. n is never used again: the next
//                                 run numbers its readings from 1.
//   3. accepted (or refused) += 1
// So in a run, a key's readings 1..accepted must arrive, reading accepted + 1
// may if captured > accepted + refused, and no other exists.
//
// Like the intake, it survives the process and not a power cut.
#ifndef EDDY_EXAMPLES_ACCOUNT_H_
#define EDDY_EXAMPLES_ACCOUNT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Threads: not safe; one thread writes. Anybody may read the file at any time.
class Account {
 public:
  // One key's row. Each counter has one writer; the kernel keeps the order of
  // its stores for readers that come after its death.
  struct Row {
    // Step 1; returns n.
    uint64_t Capture() {
      captured.store(captured.load() + 1);
      return captured.load() - refused.load();
    }
    // Step 3.
    void Settle(bool ok) {
      std::atomic<uint64_t>& counter = ok ? accepted : refused;
      counter.store(counter.load() + 1);
    }

    char key[56];
    std::atomic<uint64_t> captured;
    std::atomic<uint64_t> accepted;
    std::atomic<uint64_t> refused;
  };
  static_assert(sizeof(Row) == 80, "the judge reads rows of this size");

  struct Totals {
    uint64_t captured = 0;
    uint64_t accepted = 0;
    uint64_t refused = 0;
  };

  // Makes the file "run-RUN.KIND" in `directory`, which must not exist yet.
  static absl::StatusOr<std::unique_ptr<Account>> Create(const std::string& directory, int run,
                                                         std::string_view kind);
  // One above the highest run that has a file in `directory`.
  static int NextRun(const std::string& directory);
  ~Account();

  // The row of `key`, made at first use; null if the file is full or the key
  // longer than 55 bytes. What has no row cannot be judged: it is not put, and
  // Refuse counts it, so that no capture goes unseen.
  Row* Of(std::string_view key);
  // Captured and refused, under the name "(no row)".
  void Refuse();
  Totals Sum() const;

 private:
  explicit Account(Row* rows) : rows_(rows) {}
  Row* Add(std::string_view key);

  Row* const rows_;  // the mapping
  size_t row_count_ = 0;
  std::unordered_map<std::string, Row*> by_key_;
  Row* no_row_ = nullptr;  // made at first use; there is always room for it
};

#endif  // EDDY_EXAMPLES_ACCOUNT_H_
