// Every byte of a small store, flipped once; every page of it, destroyed in turn.
//
// Each time the store is opened and held to the model: what it gives out was put there,
// unchanged, once and in order; what is missing is told of by a gap, or lay where the
// damage is. It never ends, hangs, or is in the way for good.
#include "src/sql/database.h"
#include "tests/fakes/scale.h"
#include "tests/unit/store/salvage_fixture.h"

namespace eddy {
namespace {

using testing::kDatabase;
using testing::kWal;
using testing::SalvageFixture;

// A store as a test has left it, to be damaged again and again.
struct Original {
  std::string database;
  std::string wal;
  std::string intake;
};

Original Take(SalvageFixture* f, bool killed) {
  if (killed) {
    f->Kill();
  } else {
    f->Close();
  }
  return {f->Database(), f->device.disk.Content(kWal),
          f->device.files.Content("/store/eddy.intake")};
}

// As a power cut leaves it when all was committed and the WAL is copied: no intake to be
// believed, and the tables know of a log's end by its blocks only.
Original TakeAfterPowerCut(SalvageFixture* f) {
  REQUIRE(f->store->Flush().ok());
  f->Kill();
  sql::OpenOptions options;
  options.vfs = f->device.disk.name();
  auto db = sql::Database::Open(kDatabase, options);
  REQUIRE(db.ok());
  REQUIRE(db->Checkpoint(sql::CheckpointMode::kFull).ok());
  REQUIRE(db->Close().ok());
  return {f->Database(), "", ""};
}

// As what is left after this much damage: how many opens said what.
struct Account {
  int as_before = 0;   // opened, nothing missing
  int gaps = 0;        // opened, a part is told to be missing
  int set_aside = 0;
  int refused = 0;     // for a reason that is none of damage
  int renamed = 0;     // a stream is there under another name, as its row now says
  int overtold = 0;    // a gap where nothing is missing
  int silent = 0;      // opened, something is missing and not told
  std::string first_silent;
};

// A fresh device with the original's files, changed as `database` and `wal` say.
void Judge(const SalvageFixture& model, const Original& original, const std::string& database,
           const std::string& wal, const std::string& where, Account* account) {
  SalvageFixture f;
  f.records = model.records;
  f.highest = model.highest;
  f.given = model.given;
  f.messages = model.messages;
  f.next = model.next;
  REQUIRE(f.device.files.PrepareDirectory("/store").ok());
  f.device.files.SetContent("/store/eddy.intake", original.intake);
  f.device.disk.SetContent(kDatabase, database);
  f.device.disk.SetContent(kWal, wal);
  INFO(where);
  const absl::Status opened = f.TryOpen();
  if (!opened.ok()) {
    INFO(opened.ToString());
    REQUIRE(absl::IsFailedPrecondition(opened));
    ++account->refused;
    return;
  }
  // It goes on: what comes is kept, and no number is given twice.
  for (const auto& [place, want] : model.records) {
    const auto stream = f.store->OpenStream(place.first);
    if (!stream.ok() || place.second >= (*stream)->shard_count()) continue;
    f.PutTo(place.first, place.second);
  }
  f.Salvage();
  // A table that SQLite cannot read on, or write to, is told as such, and the next open
  // judges.
  if (f.MeetsDamage()) {
    f.store.reset();
    f.Open();
    f.Salvage();
    REQUIRE_FALSE(f.MeetsDamage());
  }
  const SalvageStats salvage = f.store->Stats().salvage;
  account->set_aside += salvage.set_asides > 0;
  size_t missing = 0;
  size_t untold = 0;
  for (const auto& [place, want] : f.records) {
    const std::string name = f.NameNow(place.first);
    if (name != place.first) ++account->renamed;
    const auto stream = f.store->OpenStream(name);
    if (!stream.ok() || place.second >= (*stream)->shard_count()) {
      // Its row is lost. Status tells that, and keeps the old database.
      untold += salvage.set_asides == 0 ? want.size() : 0;
      missing += want.size();
      continue;
    }
    const SalvageFixture::Read read = f.ReadAll(name, place.second);
    size_t at = 0;
    size_t gone = 0;
    size_t outside = 0;  // of the gaps
    for (const auto& [number, data] : want) {
      if (at < read.records.size() && read.records[at].first == number) {
        REQUIRE(read.records[at++].second == data);
        continue;
      }
      ++gone;
      outside += !read.Tells(number);
    }
    missing += gone;
    account->overtold += gone == 0 && read.lost() > 0;
    // A row whose id is changed is a gap elsewhere, which counts its records.
    if (read.lost() < gone) untold += outside;
    REQUIRE(at == read.records.size());
  }
  const std::set<std::string> got = f.Drain();
  missing += model.messages.size() - got.size();
  if (salvage.blocks_orphaned > 0 || salvage.records_lost > 0) untold = 0;  // as status tells
  account->as_before += missing == 0;
  account->gaps += missing > 0 && untold == 0;
  account->silent += untold > 0;
  if (untold > 0 && account->first_silent.empty()) {
    account->first_silent = absl::StrCat(where, ": ", untold, " of ", missing);
  }
}

// What a flip destroys no more than one page of: here a page, in each of several ways.
TEST_CASE("a page that is destroyed costs what was on it", "[store][salvage][flip][sweep]") {
  SalvageFixture model;
  model.Open();
  model.Fill(25, 400);
  const bool power_cut = GENERATE(false, true);
  CAPTURE(power_cut);
  const Original original =
      power_cut ? TakeAfterPowerCut(&model) : Take(&model, /*killed=*/false);
  const std::string how = GENERATE(as<std::string>(), "zeros", "noise", "the file ends before it");
  CAPTURE(how);
  Account account;
  const size_t pages = original.database.size() / 4096;
  REQUIRE(pages > 25);
  testing::FakeRandom random(7);
  for (size_t page = 0; page < pages; ++page) {
    // An empty file, with nothing beside it, is a store that was never used.
    if (power_cut && page == 0 && how == "the file ends before it") continue;
    std::string database = original.database;
    if (how == "the file ends before it") {
      database.resize(page * 4096 + (page % 2) * 1000);
    } else {
      for (size_t i = 0; i < 4096; ++i) {
        database[page * 4096 + i] = how == "zeros" ? '\0' : static_cast<char>(random.Next());
      }
    }
    Judge(model, original, database, "", absl::StrCat("page ", page + 1), &account);
  }
  INFO(pages << " pages: " << account.as_before << " as before, " << account.gaps << " gaps, "
             << account.set_aside << " set aside, " << account.refused << " refused, "
             << account.renamed << " renamed, " << account.overtold << " overtold, "
             << account.silent << " silent; " << account.first_silent);
  CHECK(account.silent == 0);
  CHECK(account.refused == 0);
  CHECK(account.gaps > 0);
}

// `killed`: of the WAL too, which then holds what is newest.
void FlipEach(bool killed) {
  SalvageFixture model;
  model.Open();
  model.Fill(15, 120);
  const Original original = Take(&model, killed);
  const size_t total = original.database.size() + (killed ? original.wal.size() : 0);
  // All of them with EDDY_TEST_SCALE=300: some two hours, the closed store alone 11 minutes.
  const size_t stride = std::max<size_t>(1, total / static_cast<size_t>(testing::Scaled(1500)));
  Account account;
  int flips = 0;
  for (size_t at = 0; at < total; at += stride, ++flips) {
    Original damaged = original;
    std::string& file = at < original.database.size() ? damaged.database : damaged.wal;
    const size_t in_file = at < original.database.size() ? at : at - original.database.size();
    file[in_file] = static_cast<char>(file[in_file] ^ (1 << (flips % 8)));
    Judge(model, original, damaged.database, damaged.wal,
          absl::StrCat(at < original.database.size() ? "database" : "WAL", " byte ", in_file,
                       " of page ", in_file / 4096 + 1, " bit ", flips % 8),
          &account);
  }
  INFO(flips << " flips: " << account.as_before << " as before, " << account.gaps << " gaps, "
             << account.set_aside << " set aside, " << account.refused << " refused, "
             << account.renamed << " renamed, " << account.overtold << " overtold, "
             << account.silent << " silent; " << account.first_silent);
  CHECK(account.silent == 0);
  CHECK(account.overtold == 0);
  // The judge has seen what it judges.
  CHECK((killed || account.gaps > 0));
  CHECK(account.set_aside > 0);
  // The checksums of the WAL tell what is right in it; its newest copy of a block may be
  // what is hit.
  if (killed) CHECK(account.as_before >= flips - flips / 50);
}

TEST_CASE("a flip of any byte of a store that was closed gives out nothing wrong",
          "[store][salvage][flip][sweep]") {
  FlipEach(/*killed=*/false);
}

TEST_CASE("a flip of any byte of a store that was killed gives out nothing wrong",
          "[store][salvage][flip][sweep]") {
  FlipEach(/*killed=*/true);
}

}  // namespace
}  // namespace eddy
