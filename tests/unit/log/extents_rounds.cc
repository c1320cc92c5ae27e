// The rounds themselves; what they are judged by is in extents_judge.cc.
#include "tests/unit/log/extents_rounds.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "src/log/retention.h"

namespace eddy::log {
namespace {

using testing::CrashDisk;
using Op = CrashDisk::Op;
using Fault = CrashDisk::Fault;

constexpr char kDatabasePath[] = "/store/eddy.db";
constexpr char kWalPath[] = "/store/eddy.db-wal";
constexpr char kBlocksPath[] = "/store/eddy.db-blocks";
constexpr uint64_t kManyBytes = uint64_t{1} << 40;

template <typename T, size_t kCount>
const T& Pick(testing::FakeRandom* random, const std::array<T, kCount>& of) {
  return of[random->Below(kCount)];
}

}  // namespace

// --- A life ---------------------------------------------------------------------

ExtentsRounds::ExtentsRounds(uint64_t seed)
    : random_(seed * 7919), device_(seed), ways_(WaysOf(seed)) {
  options_.directory = kStore;
  options_.store.intake_bytes = (256 << 10) << random_.Below(3);
  options_.store.platform = device_.platform();
  if (ways_.limit == Limit::kDropAtQuota || ways_.limit == Limit::kRejectAtQuota) {
    options_.store.quota_bytes = 8 * options_.store.intake_bytes + (random_.Below(4) << 20);
    options_.store.at_quota =
        ways_.limit == Limit::kDropAtQuota ? AtLimit::kDropOldest : AtLimit::kRejectNew;
  }
  REQUIRE(Open());
  logs_.resize(2);
  for (LogModel& log : logs_) {
    REQUIRE(engine_->WithDatabase([&](sql::Database& db) {
              absl::StatusOr<Log*> made = engine_->AddLog(db);
              if (made.ok()) log.id = (*made)->id();
              return made.status();
            }).ok());
  }
  FindLogs();
}

ExtentsRounds::~ExtentsRounds() { device_.disk.OnStep(nullptr); }

std::string ExtentsRounds::Description() const {
  return absl::StrCat("limit ", static_cast<int>(ways_.limit), ", changes ", ways_.changes,
                      ", last death: ", last_death_, ", quota ", options_.store.quota_bytes,
                      ", headroom ", options_.store.headroom_bytes, ", secure_delete ",
                      options_.store.secure_delete, ", intake ", options_.store.intake_bytes,
                      ", files: database ", device_.disk.Size(kDatabasePath), ", WAL ",
                      device_.disk.Size(kWalPath), ", blocks ", device_.disk.Size(kBlocksPath));
}

void ExtentsRounds::FindLogs() {
  for (LogModel& log : logs_) {
    log.log = *engine_->OpenLog(log.id);
    KeepLimits limits;
    limits.droppable = IsDroppable(log);
    if (limits.droppable && ways_.limit == Limit::kRetention) limits.bytes = 1500000;
    engine_->SetRetention({log.id}, limits);
  }
}

bool ExtentsRounds::Open() {
  for (int tries = 0; tries < 3; ++tries) {
    absl::StatusOr<std::unique_ptr<Engine>> opened = Engine::Open(options_);
    opened_ = opened.status();
    if (opened.ok()) {
      engine_ = *std::move(opened);
      opened_ = engine_->FinishOpen();
      if (opened_.ok()) {
        FindLogs();
        return true;
      }
      device_.Kill(std::move(engine_), kIntake);
    }
    ClearFaults();  // an open may fail while the disk does, not behind that
  }
  return false;
}

void ExtentsRounds::ChangeOptions() {
  options_.store.secure_delete = random_.OneIn(4);
  if (options_.store.quota_bytes != 0 && random_.OneIn(3)) {
    options_.store.quota_bytes = 8 * options_.store.intake_bytes + (random_.Below(6) << 20);
    quota_changed_ = true;
  }
  if (random_.OneIn(3)) {
    const bool bounded = random_.OneIn(2);
    options_.store.headroom_bytes = bounded ? 1 << 20 : 0;
    device_.files.SetFreeBytes(
        bounded ? 3 * options_.store.intake_bytes + (random_.Below(4) << 20) : kManyBytes);
  }
}

void ExtentsRounds::Reopen(Death death) {
  if (ways_.changes) ChangeOptions();
  const bool opened = Open();
  INFO(last_death_ << ": " << opened_.ToString());
  REQUIRE(opened);
  Judge(death);
  JudgeFiles();
}

void ExtentsRounds::Kill() {
  last_death_ = "kill";
  device_.Kill(std::move(engine_), kIntake);
  if (random_.OneIn(2)) ClearFaults();
  Reopen(Death::kProcess);
}

void ExtentsRounds::CutPower() {
  last_death_ = "power cut";
  device_.disk.CutAt(random_.Below(uint64_t{40}));
  for (int i = 0; i < 5; ++i) TryPut(AnyLog(), RandomBytes());
  Flush();
  device_.PowerCut(std::move(engine_), random_.Next());
  ClearFaults();
  Reopen(Death::kPower);
}

// To a close that fails nothing more is done than to a process that dies.
void ExtentsRounds::Close() {
  last_death_ = "close";
  if (engine_->Close().ok()) {
    engine_.reset();
  } else {
    device_.Kill(std::move(engine_), kIntake);
  }
  Reopen(Death::kProcess);
}

// --- Rounds -----------------------------------------------------------------------

void ExtentsRounds::Step() {
  switch (random_.Below(16)) {
    case 0: case 1: case 2: case 3: case 4:
      PutSome();
      break;
    case 5: case 6: case 7: case 8:
      if (Flush() && !faulty_ && !quota_changed_ && options_.store.quota_bytes != 0) {
        REQUIRE(AllBytes() <= options_.store.quota_bytes);
      }
      break;
    case 9: case 10:
      TrimSome();
      break;
    case 11:
      device_.clock.Advance(absl::Milliseconds(random_.Below(int64_t{100000})));
      engine_->RunOnce();
      break;
    case 12:
      if (ways_.changes && random_.OneIn(3)) {
        FailReads();
      } else if (random_.OneIn(2)) {
        FailSomething();
      } else {
        ClearFaults();
      }
      break;
    case 13:
      if (random_.OneIn(3)) Kill();
      break;
    case 14:
      if (random_.OneIn(3)) CutPower();
      break;
    default:
      if (random_.OneIn(3)) Close();
  }
}

void ExtentsRounds::PutSome() {
  LogModel& log = AnyLog();
  const int count = 1 + random_.Below(random_.OneIn(3) ? 60 : 8);
  const size_t same = random_.OneIn(2) ? RandomBytes() : 0;
  for (int i = 0; i < count; ++i) {
    if (!TryPut(log, same != 0 ? same : RandomBytes())) break;
  }
}

bool ExtentsRounds::TryPut(LogModel& to, size_t bytes) {
  std::string body = RawBody(next_, bytes);
  FrameParts parts;
  parts.kind = 5;
  parts.time_ms = 1000;
  parts.key = "k";
  parts.body = body;
  if (parts.Bytes() > to.log->room()) return false;
  const int number = next_++;
  const absl::StatusOr<Appended> appended = to.log->Append(parts, absl::Milliseconds(5));
  if (!appended.ok()) {
    refused_[number] = std::move(body);  // J3
    return false;
  }
  to.puts.push_back({appended->position, appended->end, std::move(body), false});
  return true;
}

// Many times what makes a block that lies in the database, or one that does not.
size_t ExtentsRounds::RandomBytes() {
  switch (random_.Below(6)) {
    case 0: return 10 + random_.Below(size_t{100});
    case 1: return 1000 + random_.Below(size_t{3000});
    case 2: return 20000 + random_.Below(size_t{20000});
    case 3: return 4000 + random_.Below(size_t{8000});
    case 4: return random_.OneIn(4) ? 60000 + random_.Below(size_t{140000}) : 9000;
    default: return 7000;
  }
}

// Producers go on while a round commits: from the moment at which its blocks are synced, some
// step later, they put what the round may write early.
void ExtentsRounds::AppendDuringTheRound() {
  const uint64_t blocks_before = device_.disk.BytesWritten("-blocks");
  device_.disk.OnStep([this, blocks_before, syncs_before = device_.disk.sync_count(),
                       left = 1 + random_.Below(60)]() mutable {
    if (left == 0) return;
    if (device_.disk.BytesWritten("-blocks") == blocks_before) {
      syncs_before = device_.disk.sync_count();
      return;
    }
    if (device_.disk.sync_count() == syncs_before) return;
    // Putting makes steps of its own, which come here again.
    for (int now = std::exchange(left, 0); now > 0; --now) {
      LogModel& log = AnyLog();
      if (!TryPut(log, 6000 + random_.Below(size_t{8000}))) return;
    }
  });
}

bool ExtentsRounds::Flush() {
  std::vector<size_t> counts;
  for (const LogModel& log : logs_) counts.push_back(log.puts.size());
  if (appends_in_rounds_ && random_.OneIn(4)) AppendDuringTheRound();
  const absl::Status flushed = engine_->Flush();
  device_.disk.OnStep(nullptr);
  if (!flushed.ok()) return false;
  for (size_t i = 0; i < logs_.size(); ++i) {
    for (size_t at = 0; at < counts[i]; ++at) logs_[i].puts[at].committed = true;
  }
  return true;
}

void ExtentsRounds::TrimSome() {
  LogModel& log = AnyLog();
  if (log.puts.empty()) return;
  const Put& at = log.puts[random_.Below(log.puts.size())];
  const uint64_t before = random_.OneIn(5) ? log.log->committed() : at.position;
  REQUIRE(log.log->Trim(before).ok());
  log.trimmed = std::max(log.trimmed, std::min(before, log.log->committed()));
}

void ExtentsRounds::FailSomething() {
  const Op op = Pick(&random_, std::array{Op::kWrite, Op::kSync, Op::kTruncate, Op::kCreate});
  const Fault fault = Pick(&random_, std::array{Fault::kFull, Fault::kIoError, Fault::kReadOnly});
  const std::string suffix =
      Pick(&random_, std::array{"", "-blocks", "-blocks", "-wal", "eddy.db"});
  const uint64_t nth = 1 + random_.Below(uint64_t{12});
  device_.disk.FailNth(op, nth, fault, /*sticky=*/random_.OneIn(3), suffix);
  faulty_ = true;
}

// A block that cannot be read for a while is not one that is damaged (J6).
void ExtentsRounds::FailReads() {
  device_.disk.FailNth(Op::kRead, 1 + random_.Below(uint64_t{3}), Fault::kIoError,
                       /*sticky=*/true, "-blocks");
  for (const LogModel& log : logs_) (void)log.log->Read(log.log->oldest(), {});  // may fail
  Flush();
  ClearFaults();
}

void ExtentsRounds::ClearFaults() {
  device_.disk.ClearFaults();
  faulty_ = false;
}

uint64_t ExtentsRounds::AllBytes() {
  return device_.disk.Size(kDatabasePath) + device_.disk.Size(kWalPath) +
         device_.disk.Size(kBlocksPath) + *device_.files.Size(kIntake);
}

void ExtentsRounds::JudgeUnlessFaulty() {
  if (faulty_) return;
  Judge(Death::kNone);
  JudgeFiles();
}

void ExtentsRounds::Empty() {
  appends_in_rounds_ = false;
  device_.files.SetFreeBytes(kManyBytes);
  ClearFaults();
  device_.clock.Advance(absl::Minutes(2));
  for (int i = 0; i < 4 && !engine_->Flush().ok(); ++i) device_.clock.Advance(absl::Seconds(10));
  REQUIRE(Flush());
  Judge(Death::kNone);
  for (int again = 0; again < 3; ++again) {
    for (LogModel& log : logs_) {
      REQUIRE(log.log->Trim(log.log->committed()).ok());
      log.trimmed = log.log->committed();
    }
    REQUIRE(Flush());
    for (int i = 0; i < 9; ++i) {
      // The database gives no pages back, and with secure_delete all goes into it.
      if (options_.store.secure_delete && logs_[0].log->room() < 200000) return;
      INFO("room " << logs_[0].log->room());
      REQUIRE(TryPut(logs_[0], 12000));
    }
    REQUIRE(Flush());
    device_.clock.Advance(absl::Minutes(2));
    engine_->RunOnce();
  }
  JudgeFiles();
  if (options_.store.secure_delete || options_.store.headroom_bytes != 0) return;
  INFO("used to " << used_end_);
  // Two blocks of these at the most stand there at a time.
  REQUIRE(used_end_ <= 262144);
  REQUIRE(device_.disk.Size(kBlocksPath) <= used_end_ + (1 << 20));
  Judge(Death::kNone);
}

}  // namespace eddy::log
