// D2, with every step of a small life as the moment of the cut, from the very
// first write of a new file on.
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <string>
#include <utility>

#include "src/sql/database.h"
#include "tests/fakes/crash_vfs.h"

namespace eddy::sql {
namespace {

using testing::CrashDisk;

constexpr int64_t kCommitCount = 12;

// What a life had achieved when the power went.
struct Progress {
  bool opened = false;
  int64_t committed = 0;  // rows 1 to this
};

absl::StatusOr<Database> OpenOn(const CrashDisk& disk) {
  OpenOptions options;
  options.vfs = disk.name();
  options.wal_bytes_max = 64 << 10;
  return Database::Open("db", options);
}

absl::Status InsertRow(Database& db, int64_t id) {
  // Runs of both kinds.
  auto transaction = id % 5 < 3 ? Transaction::BeginAsReader(db) : Transaction::Begin(db);
  if (!transaction.ok()) return transaction.status();
  auto insert = db.Prepare("INSERT INTO t (id, bytes) VALUES (?, ?)");
  if (!insert.ok()) return insert.status();
  const std::string bytes(static_cast<size_t>(id) * 1000, 'x');
  const absl::Status status = insert->Bind(1, id).BindBlob(2, bytes).Run();
  if (!status.ok()) return status;
  return transaction->Commit();
}

Progress Live(const CrashDisk& disk) {
  Progress progress;
  auto db = OpenOn(disk);
  if (!db.ok()) return progress;
  progress.opened = true;
  if (!db->Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)")
           .ok()) {
    return progress;
  }
  for (int64_t id = 1; id <= kCommitCount; ++id) {
    if (!InsertRow(*db, id).ok()) break;
    progress.committed = id;
    if (id % 4 == 0 && !db->Checkpoint(CheckpointMode::kPassive).ok()) break;
    if (id % 7 == 0 && !db->Checkpoint(CheckpointMode::kTruncate).ok()) break;
  }
  return progress;
}

// The rows that a new life finds: 1 to the result, whole; -1 if that is not so.
int64_t RowsFound(const CrashDisk& disk) {
  auto db = OpenOn(disk);
  INFO(db.status().ToString());
  REQUIRE(db.ok());
  auto check = db->Prepare("PRAGMA integrity_check");
  REQUIRE(check.ok());
  REQUIRE(check->Step().value());
  REQUIRE(check->ColumnText(0) == "ok");
  auto select = db->Prepare("SELECT id, bytes FROM t ORDER BY id");
  if (!select.ok()) return 0;  // the cut came before the table
  int64_t found = 0;
  while (select->Step().value()) {
    if (select->ColumnInt(0) != found + 1) return -1;
    ++found;
    if (select->ColumnBlob(1) !=
        std::string(static_cast<size_t>(found) * 1000, 'x')) {
      return -1;
    }
  }
  return found;
}

uint64_t StepsOfALife() {
  CrashDisk disk;
  REQUIRE(Live(disk).committed == kCommitCount);
  return disk.step_count();
}

TEST_CASE("a commit survives a power cut at every step", "[sql][crash][sweep]") {
  constexpr uint64_t kSeedsPerStep = 8;
  const uint64_t step_count = StepsOfALife();
  REQUIRE(step_count > 100);
  for (uint64_t step = 0; step <= step_count; ++step) {
    CrashDisk disk;
    disk.CutAt(step);
    const Progress progress = Live(disk);
    if (step < step_count) REQUIRE(disk.PowerIsOff());
    for (uint64_t seed = 0; seed < kSeedsPerStep; ++seed) {
      CAPTURE(step, seed, progress.opened, progress.committed);
      const auto after = disk.AfterCut(step * 1000 + seed);
      const int64_t found = RowsFound(*after);
      // The one more was being committed.
      REQUIRE(found >= progress.committed);
      REQUIRE(found <= progress.committed + 1);
    }
  }
}

TEST_CASE("a sync that fails loses nothing that was committed before or after",
          "[sql][crash][fault][sweep]") {
  constexpr uint64_t kSeedsPerSync = 20;
  // Every sync of the life fails once.
  for (uint64_t nth = 1;; ++nth) {
    CrashDisk disk;
    auto db = OpenOn(disk);
    REQUIRE(db.ok());
    REQUIRE(
        db->Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)")
            .ok());
    disk.FailNth(CrashDisk::Op::kSync, nth, CrashDisk::Fault::kIoError);
    for (int64_t id = 1; id <= kCommitCount; ++id) {
      absl::Status status = InsertRow(*db, id);
      if (!status.ok()) {
        REQUIRE(IsSyncFailure(status));
        status = InsertRow(*db, id);
      }
      REQUIRE(status.ok());
      // May fail, and is then due again.
      if (id % 4 == 0) (void)db->Checkpoint(CheckpointMode::kPassive);
    }
    const bool hit = disk.fault_count() > 0;
    disk.CutAt(0);
    for (uint64_t seed = 0; seed < kSeedsPerSync; ++seed) {
      CAPTURE(nth, seed);
      REQUIRE(RowsFound(*disk.AfterCut(seed)) == kCommitCount);
    }
    if (!hit) break;
  }
}

}  // namespace
}  // namespace eddy::sql
