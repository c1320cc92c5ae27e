// Rounds of every kind on two logs, drawn from a seed: put, commit, trim, drop, fail, die,
// lose the power, close; and the model that says what must be there behind each of them.
//
// Judged (extents_judge.cc)
//   J1  A record that is there is as it was put, once and in order.
//   J2  What was accepted is there, unless it was trimmed, dropped by a limit, or lost to a
//       power cut before its commit; and of the latter nothing is there behind what is lost.
//   J3  A record that was refused, but is found after a death, was a large one, whose failed
//       commit has turned up: it is whole.
//   J4  No two blocks share a place outside the database, and none lies behind the file's end.
//   J5  The sums in the logs' rows are those of their blocks (block_counts.h).
//   J6  No block is ever damaged, and while no disk is at fault the files keep to the quota.
#ifndef EDDY_TESTS_UNIT_LOG_EXTENTS_ROUNDS_H_
#define EDDY_TESTS_UNIT_LOG_EXTENTS_ROUNDS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/log/log_fixture.h"

namespace eddy::log {

class ExtentsRounds {
 public:
  // What bounds the logs.
  enum class Limit { kNone, kDropAtQuota, kRejectAtQuota, kRetention };
  struct Ways {
    Limit limit = Limit::kNone;
    // Reads of blocks fail for a while too, and each open may have other options.
    bool changes = false;
  };
  // All ways there are, one after the other.
  static constexpr uint64_t kWays = 8;
  static Ways WaysOf(uint64_t seed) {
    return {static_cast<Limit>(seed % 4), seed / 4 % 2 == 1};
  }

  explicit ExtentsRounds(uint64_t seed);
  ExtentsRounds(const ExtentsRounds&) = delete;
  ExtentsRounds& operator=(const ExtentsRounds&) = delete;
  ~ExtentsRounds();

  // One round, and the judgement of those after which the files were opened anew.
  void Step();
  // Of an engine that goes on.
  void JudgeUnlessFaulty();
  // Everything is trimmed: what comes next lies at the begin, and the file is short.
  void Empty();

  // For the message of a failure.
  std::string Description() const;

 private:
  struct Put {
    uint64_t position = 0;
    uint64_t end = 0;
    std::string body;
    bool committed = false;
  };
  struct LogModel {
    LogId id = 0;
    Log* log = nullptr;
    std::vector<Put> puts;  // by position
    uint64_t trimmed = 0;
    uint64_t oldest_seen = 0;     // in this life
    uint64_t oldest_durable = 0;  // as the database has it: a drop may be forgotten
  };
  enum class Death { kNone, kProcess, kPower };

  bool Open();
  void FindLogs();
  void Reopen(Death death);
  void ChangeOptions();

  void PutSome();
  bool TryPut(LogModel& to, size_t bytes);
  size_t RandomBytes();
  void AppendDuringTheRound();
  bool Flush();
  void TrimSome();
  void FailSomething();
  void FailReads();
  void ClearFaults();
  void Kill();
  void CutPower();
  void Close();

  void Judge(Death death);
  void JudgeLog(LogModel& of, Death death);
  void JudgeFiles();
  uint64_t AllBytes();
  bool IsDroppable(const LogModel& of) const;
  LogModel& AnyLog() { return logs_[random_.Below(logs_.size())]; }

  testing::FakeRandom random_;
  testing::Device device_;
  const Ways ways_;
  EngineOptions options_;
  std::unique_ptr<Engine> engine_;
  std::vector<LogModel> logs_;
  int next_ = 0;                        // the next record's number
  std::map<int, std::string> refused_;  // number, body
  bool faulty_ = false;                 // FailSomething lasts
  bool quota_changed_ = false;          // below what is there already, perhaps
  bool appends_in_rounds_ = true;
  absl::Status opened_;
  std::string last_death_;
  uint64_t used_end_ = 0;  // of the places outside
};

}  // namespace eddy::log

#endif  // EDDY_TESTS_UNIT_LOG_EXTENTS_ROUNDS_H_
