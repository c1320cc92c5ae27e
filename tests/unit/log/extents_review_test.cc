// Review: the blocks outside the database.
#include <algorithm>
#include <string>
#include <vector>

#include "src/log/block_extents.h"
#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

constexpr char kBlocksPath[] = "/store/eddy.db-blocks";
constexpr size_t kRecordBytes = 30000;  // four of them a block

struct ReviewFixture : LogFixture {
  ReviewFixture() : LogFixture(4 << 20) {}
  Appended PutFlushed() {
    const Appended first = Append(RawBody(next++, kRecordBytes));
    for (int i = 1; i < 4; ++i) Append(RawBody(next++, kRecordBytes));
    REQUIRE(engine->Flush().ok());
    return first;
  }
  size_t FileBytes() const { return device.disk.Size(kBlocksPath); }
  int next = 0;
};

TEST_CASE("a file of which nothing is used is cut, though only small blocks come",
          "[log][extents][trim][review]") {
  ReviewFixture f;
  for (int i = 0; i < 32; ++i) f.PutFlushed();
  SECTION("in the life in which the blocks were written") {}
  SECTION("in the next, in which one of them has been dropped before") {
    const Appended last = f.PutFlushed();
    REQUIRE(f.log->Trim(last.position).ok());
    REQUIRE(f.engine->Flush().ok());  // all but the last are gone
    f.CloseAndReopen();
  }
  SECTION("in the next, after a death between the commit and the cut") {
    REQUIRE(f.log->Trim(f.log->committed()).ok());
    f.device.disk.FailNth(testing::CrashDisk::Op::kTruncate, 1,
                          testing::CrashDisk::Fault::kIoError, /*sticky=*/true, "-blocks");
    REQUIRE(f.engine->Flush().ok());
    f.device.disk.ClearFaults();
    f.KillAndReopen();
  }
  SECTION("after a commit that has failed for want of space") {
    f.device.disk.FailNth(testing::CrashDisk::Op::kWrite, 1, testing::CrashDisk::Fault::kFull,
                          /*sticky=*/true, "-wal");
    for (int i = 0; i < 4; ++i) f.Append(RawBody(f.next++, kRecordBytes));
    CHECK_FALSE(f.engine->Flush().ok());
    f.device.disk.ClearFaults();
    REQUIRE(f.engine->Flush().ok());
  }
  REQUIRE(f.FileBytes() > 1000000);
  REQUIRE(f.log->Trim(f.log->committed()).ok());
  REQUIRE(f.engine->Flush().ok());
  // A day of a slow sensor.
  for (int i = 0; i < 200; ++i) {
    f.device.clock.Advance(absl::Minutes(7));
    f.Append("a small record");
    REQUIRE(f.engine->Flush().ok());
    f.engine->RunOnce();
    REQUIRE(f.log->Trim(f.log->committed()).ok());
    REQUIRE(f.engine->Flush().ok());
  }
  CHECK(f.Bodies().empty());
  CHECK(f.FileBytes() <= (1 << 20));
}

// block_extents.h: "Not used with secure_delete; blocks that lie there already stay readable,
// and their places are cut off as they come free at the end."
TEST_CASE("with secure_delete the file of before is cut once nothing of it is used",
          "[log][extents][trim][review]") {
  ReviewFixture f;
  const uint64_t quota = GENERATE(uint64_t{0}, uint64_t{40} << 20);
  f.options.store.quota_bytes = quota;
  f.options.store.at_quota = AtLimit::kDropOldest;
  f.CloseAndReopen();
  REQUIRE(f.log->room() > 1000000);
  uint64_t last = 0;
  for (int i = 0; i < 140; ++i) last = f.PutFlushed().position;
  // All but the last goes: what is free lies before it.
  REQUIRE(f.log->Trim(last).ok());
  REQUIRE(f.engine->Flush().ok());
  REQUIRE(f.FileBytes() > 16000000);
  f.options.store.secure_delete = true;
  f.CloseAndReopen();
  REQUIRE(f.log->Trim(f.log->committed()).ok());
  for (int i = 0; i < 20; ++i) {
    f.device.clock.Advance(absl::Minutes(7));
    f.Append("a small record");
    REQUIRE(f.engine->Flush().ok());
    f.engine->RunOnce();
    REQUIRE(f.log->Trim(f.log->committed()).ok());
    REQUIRE(f.engine->Flush().ok());
    if (i % 5 == 4) f.CloseAndReopen();
  }
  CHECK(f.Bodies().empty());
  CHECK(f.FileBytes() <= (1 << 20));
  INFO("room for " << f.log->room() << ", quota " << quota);
  if (quota != 0) CHECK(f.log->room() > 10000000);
}

// What a read of a page answers: the reader is told to come again, and loses nothing.
TEST_CASE("a read that fails for a while costs no record, wherever its block lies",
          "[log][extents][read][fault][review]") {
  ReviewFixture f;
  const bool outside = GENERATE(false, true);
  const auto fault = testing::CrashDisk::Fault::kIoError;  // no EIO: SQLITE_IOERR_READ
  std::vector<std::string> want;
  for (int i = 0; i < 4; ++i) {
    want.push_back(RawBody(i, 7000));
    f.Append(want.back());
    if (!outside) REQUIRE(f.engine->Flush().ok());
  }
  for (int i = 4; outside && i < 8; ++i) {
    want.push_back(RawBody(i, 30000));
    f.Append(want.back());
  }
  REQUIRE(f.engine->Flush().ok());
  f.CloseAndReopen();
  REQUIRE((f.FileBytes() > 0) == outside);
  INFO("outside " << outside);
  f.device.disk.FailNth(testing::CrashDisk::Op::kRead, 1, fault, /*sticky=*/true,
                        outside ? "-blocks" : "eddy.db");
  const absl::StatusOr<ReadResult> read = f.log->Read(0, {});
  INFO(read.status().ToString());
  INFO("gap " << (read.ok() && read->gap.has_value()));
  f.device.disk.ClearFaults();
  CHECK_FALSE(read.ok());
  CHECK(f.engine->Stats().blocks_damaged == 0);
  CHECK((f.Bodies(read.ok() ? read->next : 0) == want));
}

// store.h: quota_bytes is "the most that the store's files may hold ...: database, WAL, ..."
TEST_CASE("a trim of much keeps to the quota, and to a disk of its size",
          "[log][quota][wal][review]") {
  LogFixture f(256 << 10);
  constexpr uint64_t kQuota = 16 << 20;
  f.options.store.quota_bytes = kQuota;
  f.options.store.secure_delete = GENERATE(false, true);
  f.CloseAndReopen();
  const auto all_bytes = [&] {
    return f.device.disk.Size("/store/eddy.db") + f.device.disk.Size("/store/eddy.db-wal") +
           f.device.disk.Size(kBlocksPath) + *f.device.files.Size(kIntake);
  };
  int next = 0;
  size_t most = 0;
  const bool small_blocks = GENERATE(false, true);  // below a page: a commit a few records
  while (f.log->room() > 100000) {
    for (int i = 0; i < 4; ++i) f.Append(RawBody(next++, small_blocks ? 300 : 12000));
    REQUIRE(f.engine->Flush().ok());
    f.engine->RunOnce();
    most = std::max(most, all_bytes());
  }
  CHECK(most <= kQuota);
  REQUIRE(next > 400);
  const bool small_disk = GENERATE(false, true);
  INFO("secure_delete " << f.options.store.secure_delete << ", small blocks " << small_blocks
                        << ", a disk of the quota's size " << small_disk);
  // The intake lies elsewhere in this test.
  if (small_disk) f.device.disk.SetCapacity(kQuota - *f.device.files.Size(kIntake));
  REQUIRE(f.log->Trim(f.log->committed()).ok());
  absl::Status flushed = f.engine->Flush();
  most = std::max(most, all_bytes());
  for (int i = 0; i < 50 && !flushed.ok(); ++i) {
    f.device.clock.Advance(absl::Seconds(10));
    f.engine->RunOnce();
    flushed = f.engine->Flush();
    most = std::max(most, all_bytes());
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
          "[log][reserve][wal][review]") {
  LogFixture f(256 << 10);
  constexpr uint64_t kReserve = 1 << 20;
  f.options.store.reserve_bytes = kReserve;
  f.options.store.secure_delete = GENERATE(false, true);
  f.CloseAndReopen();
  REQUIRE(f.engine->Stats().reserve_held);
  int next = 0;
  const bool small_blocks = GENERATE(false, true);  // below a page: a commit a few records
  for (int i = 0; i < (small_blocks ? 4000 : 120); ++i) {
    for (int j = 0; j < 4; ++j) f.Append(RawBody(next++, small_blocks ? 300 : 12000));
    REQUIRE(f.engine->Flush().ok());
    f.engine->RunOnce();
  }
  const auto files = [&] {
    uint64_t sum = 0;
    for (const std::string& name : f.device.disk.List()) sum += f.device.disk.Size(name);
    return sum;
  };
  const uint64_t full = files() + 4096;
  f.device.disk.SetCapacity(full);
  f.device.files.SetFreeBytes(0);
  f.Append(RawBody(next++, 12000));
  INFO("secure_delete " << f.options.store.secure_delete << ", small blocks " << small_blocks);
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
          "[log][extents][quota][review]") {
  LogFixture f(256 << 10);
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
  int next = 0;
  std::vector<uint64_t> firsts;
  for (int i = 0; i < 16; ++i) {  // of the view: blocks of 48 KB
    for (int j = 0; j < 4; ++j) {
      const Appended at = f.Append(RawBody(next++, 12000));
      if (j == 0) firsts.push_back(at.position);
    }
    REQUIRE(f.engine->Flush().ok());
  }
  const auto put_stream = [&] {
    for (int j = 0; j < 8; ++j) {
      const std::string body = RawBody(next++, 12000);
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
    sql::OpenOptions reader;
    reader.vfs = f.device.disk.name();
    reader.mode = sql::Mode::kReadOnly;
    absl::StatusOr<sql::Database> db = sql::Database::Open("/store/eddy.db", reader);
    REQUIRE(db.ok());
    absl::StatusOr<sql::Statement> counts = db->Prepare(
        "SELECT l.id, counted_position, counted_blocks, counted_frames, counted_bytes, "
        "count(b.id), coalesce(sum(frame_count), 0), coalesce(sum(" EDDY_BLOCK_BYTES "), 0) "
        "FROM logs l LEFT JOIN blocks b ON b.id >= l.id << 47 AND "
        "b.id < (l.id << 47) + (counted_position >> 2) WHERE l.id > 0 GROUP BY l.id");
    INFO(counts.status().ToString());
    REQUIRE(counts.ok());
    for (;;) {
      const absl::StatusOr<bool> row = counts->Step();
      REQUIRE(row.ok());
      if (!*row) break;
      INFO("step " << i << ", log " << counts->ColumnInt(0));
      CHECK(counts->ColumnInt(2) == counts->ColumnInt(5));
      CHECK(counts->ColumnInt(3) == counts->ColumnInt(6));
      CHECK(counts->ColumnInt(4) == counts->ColumnInt(7));
    }
  }
  REQUIRE(f.engine->Close().ok());
  f.engine.reset();
}

}  // namespace
}  // namespace eddy::log
