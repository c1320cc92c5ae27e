// What the files of a store hold at the most, with blocks beside the database: the blocks'
// file becomes short again, trims of any size keep to the quota and to a full disk, and the
// sums that a quota goes by stay those of the rows.
#include <algorithm>
#include <string>
#include <vector>

#include "src/log/block_extents.h"
#include "tests/unit/log/block_counts.h"
#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

using testing::CrashDisk;

constexpr char kBlocksPath[] = "/store/eddy.db-blocks";
constexpr size_t kRecordBytes = 30000;  // four of them a block
constexpr size_t kFileShort = 1 << 20;  // a file of which nothing is used may stay as long

struct BoundsFixture : LogFixture {
  explicit BoundsFixture(size_t intake_bytes = 4 << 20) : LogFixture(intake_bytes) {}

  // One block beside the database, committed. Returns its first record.
  Appended PutBlock() {
    const Appended first = Append(RawBody(next++, kRecordBytes));
    for (int i = 1; i < 4; ++i) Append(RawBody(next++, kRecordBytes));
    REQUIRE(engine->Flush().ok());
    return first;
  }
  // Four records, committed: below a page, so in the database, or beside it.
  void PutFour(bool small) {
    for (int i = 0; i < 4; ++i) Append(RawBody(next++, small ? 300 : 12000));
    REQUIRE(engine->Flush().ok());
    engine->RunOnce();
  }
  void TrimAll() {
    REQUIRE(log->Trim(log->committed()).ok());
    REQUIRE(engine->Flush().ok());
  }
  // What a slow sensor leaves in some minutes, and its consumer takes.
  void PutSmallAndTrim() {
    device.clock.Advance(absl::Minutes(7));
    Append("a small record");
    REQUIRE(engine->Flush().ok());
    engine->RunOnce();
    TrimAll();
  }
  size_t FileBytes() const { return device.disk.Size(kBlocksPath); }
  uint64_t AllBytes() {
    return device.disk.Size("/store/eddy.db") + device.disk.Size("/store/eddy.db-wal") +
           FileBytes() + *device.files.Size(kIntake);
  }

  int next = 0;
};

// --- The blocks' file -----------------------------------------------------------

TEST_CASE("a file of which nothing is used is cut, though only small blocks come",
          "[log][extents][trim]") {
  BoundsFixture f;
  for (int i = 0; i < 32; ++i) f.PutBlock();
  SECTION("in the life in which the blocks were written") {}
  SECTION("in the next, in which one of them has been dropped before") {
    const Appended last = f.PutBlock();
    REQUIRE(f.log->Trim(last.position).ok());
    REQUIRE(f.engine->Flush().ok());  // all but the last are gone
    f.CloseAndReopen();
  }
  SECTION("in the next, after a death between the commit and the cut") {
    REQUIRE(f.log->Trim(f.log->committed()).ok());
    f.device.disk.FailNth(CrashDisk::Op::kTruncate, 1, CrashDisk::Fault::kIoError,
                          /*sticky=*/true, "-blocks");
    REQUIRE(f.engine->Flush().ok());
    f.device.disk.ClearFaults();
    f.KillAndReopen();
  }
  SECTION("after a commit that has failed for want of space") {
    f.device.disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull, /*sticky=*/true,
                          "-wal");
    for (int i = 0; i < 4; ++i) f.Append(RawBody(f.next++, kRecordBytes));
    CHECK_FALSE(f.engine->Flush().ok());
    f.device.disk.ClearFaults();
    REQUIRE(f.engine->Flush().ok());
  }
  REQUIRE(f.FileBytes() > kFileShort);
  f.TrimAll();
  for (int i = 0; i < 200; ++i) f.PutSmallAndTrim();  // a day
  CHECK(f.Bodies().empty());
  CHECK(f.FileBytes() <= kFileShort);
}

// block_extents.h: "Not used with secure_delete; blocks that lie there already stay readable,
// and their places are cut off as they come free at the end."
TEST_CASE("with secure_delete the file of before is cut once nothing of it is used",
          "[log][extents][trim]") {
  BoundsFixture f;
  const uint64_t quota = GENERATE(uint64_t{0}, uint64_t{40} << 20);
  f.options.store.quota_bytes = quota;
  f.options.store.at_quota = AtLimit::kDropOldest;
  f.CloseAndReopen();
  REQUIRE(f.log->room() > 1000000);
  uint64_t last = 0;
  for (int i = 0; i < 140; ++i) last = f.PutBlock().position;
  // All but the last goes: what is free lies before it, and cannot be cut off.
  REQUIRE(f.log->Trim(last).ok());
  REQUIRE(f.engine->Flush().ok());
  REQUIRE(f.FileBytes() > 16000000);
  f.options.store.secure_delete = true;
  f.CloseAndReopen();
  REQUIRE(f.log->Trim(f.log->committed()).ok());
  for (int i = 0; i < 20; ++i) {
    f.PutSmallAndTrim();
    if (i % 5 == 4) f.CloseAndReopen();
  }
  CHECK(f.Bodies().empty());
  CHECK(f.FileBytes() <= kFileShort);
  INFO("room for " << f.log->room() << ", quota " << quota);
  if (quota != 0) CHECK(f.log->room() > 10000000);
}

// --- A trim of much ---------------------------------------------------------------

// store.h: quota_bytes is "the most that the store's files may hold ...: database, WAL, ..."
TEST_CASE("a trim of much keeps to the quota, and to a disk of its size", "[log][quota][wal]") {
  BoundsFixture f(256 << 10);
  constexpr uint64_t kQuota = 16 << 20;
  f.options.store.quota_bytes = kQuota;
  f.options.store.secure_delete = GENERATE(false, true);
  f.CloseAndReopen();
  const bool small_blocks = GENERATE(false, true);
  const bool small_disk = GENERATE(false, true);
  INFO("secure_delete " << f.options.store.secure_delete << ", small blocks " << small_blocks
                        << ", a disk of the quota's size " << small_disk);
  uint64_t most = 0;
  while (f.log->room() > 100000) {
    f.PutFour(small_blocks);
    most = std::max(most, f.AllBytes());
  }
  CHECK(most <= kQuota);
  REQUIRE(f.next > 400);
  // The intake lies elsewhere in this test.
  if (small_disk) f.device.disk.SetCapacity(kQuota - *f.device.files.Size(kIntake));
  REQUIRE(f.log->Trim(f.log->committed()).ok());
  absl::Status flushed = f.engine->Flush();
  most = std::max(most, f.AllBytes());
  for (int i = 0; i < 50 && !flushed.ok(); ++i) {
    f.device.clock.Advance(absl::Seconds(10));
    f.engine->RunOnce();
    flushed = f.engine->Flush();
    most = std::max(most, f.AllBytes());
  }
  INFO(flushed.ToString());
  CHECK(flushed.ok());
  CHECK(most <= kQuota);
  CHECK(f.Bodies().empty());
  CHECK(f.log->room() > 100000);
}

// store.h: reserve_bytes is "given up when the disk is full, so that what was accepted before
// ..., trims, deletes and acknowledgements are committed in spite of it".
TEST_CASE("a trim of much on a full disk is committed out of the reserve",
          "[log][reserve][wal]") {
  BoundsFixture f(256 << 10);
  constexpr uint64_t kReserve = 1 << 20;
  f.options.store.reserve_bytes = kReserve;
  f.options.store.secure_delete = GENERATE(false, true);
  f.CloseAndReopen();
  REQUIRE(f.engine->Stats().reserve_held);
  const bool small_blocks = GENERATE(false, true);
  INFO("secure_delete " << f.options.store.secure_delete << ", small blocks " << small_blocks);
  for (int i = 0; i < (small_blocks ? 4000 : 120); ++i) f.PutFour(small_blocks);
  uint64_t full = 4096;
  for (const std::string& name : f.device.disk.List()) full += f.device.disk.Size(name);
  f.device.disk.SetCapacity(full);
  f.device.files.SetFreeBytes(0);
  f.Append(RawBody(f.next++, 12000));
  REQUIRE(f.log->Trim(f.log->committed()).ok());
  absl::Status flushed = f.engine->Flush();
  for (int i = 0; i < 100 && !flushed.ok(); ++i) {
    // What the reserve has held is free on the disk now.
    if (!f.engine->Stats().reserve_held) f.device.disk.SetCapacity(full + kReserve);
    f.device.clock.Advance(absl::Seconds(10));
    f.engine->RunOnce();
    flushed = f.engine->Flush();
  }
  INFO(flushed.ToString());
  CHECK(flushed.ok());
  CHECK(f.Bodies().size() == 1);
}

// --- The sums ---------------------------------------------------------------------

// A view that has handed out its log up to `scan`; what lies below `head` is done.
struct PassedView : Participant {
  bool Capture() override { return false; }
  absl::Status Write(sql::Database&) override { return absl::OkStatus(); }
  void Finish(bool) override {}
  Passed passed() override { return {log, head, scan}; }
  bool LiveWithin(uint64_t, uint64_t end, size_t, std::vector<uint64_t>*) override {
    return end <= head;
  }
  absl::Status Replay(std::string_view) override { return absl::OkStatus(); }

  Log* log = nullptr;
  uint64_t head = 0;
  uint64_t scan = 0;
};

// Where places outside are wanted first, a round commits its trims before its blocks.
TEST_CASE("a block that is trimmed and looked at by the thinner in one round is counted off once",
          "[log][extents][quota]") {
  BoundsFixture f(256 << 10);
  f.options.store.quota_bytes = 4 << 20;
  f.options.store.at_quota = AtLimit::kDropOldest;
  f.CloseAndReopen();
  Log* stream = nullptr;
  REQUIRE(f.engine->WithDatabase([&](sql::Database& db) {
            absl::StatusOr<Log*> made = f.engine->AddLog(db);
            if (made.ok()) stream = *made;
            return made.status();
          }).ok());
  KeepLimits droppable;
  droppable.droppable = true;
  f.engine->SetRetention({stream->id()}, droppable);
  PassedView view;
  view.log = f.log;
  f.engine->AddParticipant(77, &view);
  std::vector<uint64_t> firsts;
  for (int i = 0; i < 16; ++i) {  // of the view: blocks of 48 KB
    for (int j = 0; j < 4; ++j) {
      const Appended at = f.Append(RawBody(f.next++, 12000));
      if (j == 0) firsts.push_back(at.position);
    }
    REQUIRE(f.engine->Flush().ok());
  }
  const auto put_stream = [&] {
    for (int j = 0; j < 8; ++j) {
      const std::string body = RawBody(f.next++, 12000);
      FrameParts parts;
      parts.kind = 5;
      parts.time_ms = 1000;
      parts.body = body;
      REQUIRE(stream->Append(parts, absl::Seconds(5)).ok());
    }
  };
  for (int i = 0; i < 60; ++i) {
    put_stream();
    REQUIRE(f.engine->Flush().ok());
  }
  // One message after the other is done, while the stream goes on at the quota.
  for (size_t i = 1; i < 12; ++i) {
    view.head = firsts[i];
    view.scan = f.log->committed();
    REQUIRE(f.log->Trim(view.head).ok());
    put_stream();
    f.device.clock.Advance(absl::Seconds(2));
    f.engine->RunOnce();
    REQUIRE(f.engine->Flush().ok());
    INFO("message " << i);
    sql::Database db = OpenReader(f.device.disk);
    CHECK(WrongCounts(db) == "");
  }
  REQUIRE(f.engine->Close().ok());  // before the view goes
  f.engine.reset();
}

}  // namespace
}  // namespace eddy::log
