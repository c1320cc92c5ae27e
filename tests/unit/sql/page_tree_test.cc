// The pages of a database read without SQLite are what SQLite reads.
#include "src/sql/page_tree.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "src/sql/database.h"
#include "src/sql/schema.h"
#include "tests/fakes/crash_vfs.h"

namespace eddy::sql {
namespace {

using testing::CrashDisk;

constexpr char kPath[] = "/db";

struct PageFixture {
  Database Open(int page_bytes = 4096) {
    OpenOptions options;
    options.vfs = disk.name();
    options.page_bytes = page_bytes;
    absl::StatusOr<Database> db = Database::Open(kPath, options);
    REQUIRE(db.ok());
    REQUIRE(PrepareSchema(*db).ok());
    return *std::move(db);
  }
  // Rows of the blocks' table, long and short, and of an index tree.
  void Fill(Database* db, int count) {
    for (int i = 0; i < count; ++i) {
      const int bytes = i % 7 == 0 ? 20'000 : i % 3 == 0 ? 900 : 30;
      REQUIRE(db->Exec(absl::StrCat("INSERT INTO blocks VALUES (", i * 5, ", ", i, ", 1, 2, 1, -3, ",
                                    "-9223372036854775807, 4, randomblob(", bytes, "))")
                           .c_str())
                  .ok());
      REQUIRE(db->Exec(absl::StrCat("INSERT INTO meta VALUES ('name ", 100000 + i, "', ",
                                    i % 2 == 0 ? "'text'" : "2.5", ")")
                           .c_str())
                  .ok());
    }
  }
  std::unique_ptr<PageFile> Pages() {
    absl::StatusOr<std::unique_ptr<PageFile>> file = PageFile::Open(kPath, disk.name());
    INFO(file.status().ToString());
    REQUIRE(file.ok());
    return *std::move(file);
  }
  CrashDisk disk;
};

// Both tables, as SQLite has them and as they lie.
void Compare(Database* db, PageFile* file) {
  const auto roots = TableRoots(file->page_bytes());
  REQUIRE(roots.ok());
  PageTree tree(file);
  std::vector<PageCell> cells;
  std::vector<LostRows> lost;
  REQUIRE(tree.WalkTable(roots->at("blocks"), [&](const PageCell& c) { cells.push_back(c); }, &lost)
              .ok());
  CHECK(lost.empty());
  absl::StatusOr<Statement> rows = db->Prepare("SELECT id, frame_count, checksum, bytes FROM blocks "
                                               "ORDER BY id");
  REQUIRE(rows.ok());
  size_t next = 0;
  while (*rows->Step()) {
    REQUIRE(next < cells.size());
    REQUIRE(cells[next].rowid == rows->ColumnInt(0));
    const auto values = tree.Read(cells[next], 1 << 20);
    REQUIRE(values.ok());
    REQUIRE(values->size() == 9);
    REQUIRE(std::get<int64_t>((*values)[1]) == rows->ColumnInt(1));
    REQUIRE(std::get<int64_t>((*values)[6]) == rows->ColumnInt(2));
    REQUIRE(std::get<SqlBlob>((*values)[8]).bytes == rows->ColumnBlob(3));
    const auto begin = tree.Begin(cells[next]);
    REQUIRE(begin.ok());
    REQUIRE(begin->size() >= 8);
    ++next;
  }
  REQUIRE(next == cells.size());

  cells.clear();
  const auto whole =
      tree.WalkIndex(roots->at("meta"), [&](const PageCell& c) { cells.push_back(c); });
  REQUIRE(whole.ok());
  CHECK(*whole);
  rows = db->Prepare("SELECT name FROM meta ORDER BY name");
  next = 0;
  while (*rows->Step()) {
    REQUIRE(next < cells.size());
    const auto values = tree.Read(cells[next++], 1 << 20);
    REQUIRE(values.ok());
    REQUIRE(std::get<std::string>((*values)[0]) == rows->ColumnText(0));
  }
  REQUIRE(next == cells.size());
}

TEST_CASE("the roots of the tables are where every database has them", "[sql][salvage]") {
  PageFixture f;
  const int page_bytes = GENERATE(512, 1024, 4096, 65536);
  CAPTURE(page_bytes);
  Database db = f.Open(page_bytes);
  const auto roots = TableRoots(static_cast<uint32_t>(page_bytes));
  REQUIRE(roots.ok());
  CHECK(roots->size() > 10);
  absl::StatusOr<Statement> rows =
      db.Prepare("SELECT name, rootpage FROM sqlite_master WHERE type = 'table' ORDER BY name");
  size_t count = 0;
  while (*rows->Step()) {
    CHECK(roots->at(std::string(rows->ColumnText(0))) == rows->ColumnInt(1));
    ++count;
  }
  CHECK(count == roots->size());
}

TEST_CASE("tables and indexes are read from the file, and from the WAL over it",
          "[sql][salvage][sweep]") {
  PageFixture f;
  const int page_bytes = GENERATE(512, 1024, 4096, 65536);
  CAPTURE(page_bytes);
  Database db = f.Open(page_bytes);
  f.Fill(&db, 300);
  if (GENERATE(false, true)) REQUIRE(db.Checkpoint(CheckpointMode::kTruncate).ok());
  REQUIRE(db.Exec("DELETE FROM blocks WHERE id % 4 = 1").ok());
  REQUIRE(db.Exec("UPDATE blocks SET frame_count = frame_count + 1 WHERE id % 3 = 1").ok());
  const auto file = f.Pages();
  CHECK(file->page_bytes() == static_cast<uint32_t>(page_bytes));
  CHECK_FALSE(file->wal_is_damaged());
  Compare(&db, file.get());
}

TEST_CASE("the size of the pages is known without the first one", "[sql][salvage]") {
  PageFixture f;
  const int page_bytes = GENERATE(512, 1024, 4096, 16384);
  CAPTURE(page_bytes);
  {
    Database db = f.Open(page_bytes);
    f.Fill(&db, 50);
  }
  std::string bytes = f.disk.Content(kPath);
  bytes.replace(0, static_cast<size_t>(page_bytes), std::string(static_cast<size_t>(page_bytes), 'x'));
  f.disk.SetContent(kPath, bytes);
  CHECK(f.Pages()->page_bytes() == static_cast<uint32_t>(page_bytes));
}

TEST_CASE("a torn tail of a WAL is no damage, a hole in its midst is", "[sql][salvage]") {
  PageFixture f;
  std::string wal;
  {
    Database db = f.Open();
    f.Fill(&db, 20);
    wal = f.disk.Content("/db-wal");
    f.disk.KillProcess();
  }
  const size_t frame = 24 + 4096;
  const size_t frames = (wal.size() - 32) / frame;
  REQUIRE(frames > 20);
  SECTION("the tail") {
    wal[32 + (frames - 1) * frame + 1000] ^= 1;
    f.disk.SetContent("/db-wal", wal);
    CHECK_FALSE(f.Pages()->wal_is_damaged());
  }
  SECTION("the midst: what a frame holds, its page, its checksum, its salt") {
    const size_t at = GENERATE(size_t{1000}, size_t{3}, size_t{17}, size_t{9});
    wal[32 + frames / 2 * frame + at] ^= 1;
    f.disk.SetContent("/db-wal", wal);
    CHECK(f.Pages()->wal_is_damaged());
  }
  SECTION("the header") {
    wal[GENERATE(size_t{0}, size_t{17}, size_t{25})] ^= 1;
    f.disk.SetContent("/db-wal", wal);
    CHECK(f.Pages()->wal_is_damaged());
  }
}

TEST_CASE("a WAL that was copied and is begun anew is no damage, torn or not", "[sql][salvage]") {
  PageFixture f;
  {
    Database db = f.Open();
    f.Fill(&db, 20);
    REQUIRE(db.Checkpoint(CheckpointMode::kRestart).ok());
    f.disk.KillProcess();
  }
  std::string wal = f.disk.Content("/db-wal");
  REQUIRE(wal.size() > 10 * 4120);
  wal.replace(0, GENERATE(size_t{10}, size_t{32}, size_t{500}, size_t{5000}), "");
  wal.insert(0, f.disk.Size("/db-wal") - wal.size(), '\x5a');
  f.disk.SetContent("/db-wal", wal);
  CHECK_FALSE(f.Pages()->wal_is_damaged());
}

}  // namespace
}  // namespace eddy::sql
