// Syncs that fail for a while, once and again, whatever the store is at: opening, working,
// closing, being killed; beside another process that looks, or alone.
#include <set>
#include <string>
#include <utility>

#include "tests/fakes/scale.h"
#include "tests/unit/store/failed_sync_fixture.h"

namespace eddy {
namespace {

using testing::CrashDisk;
using testing::Looker;
using testing::SyncFixture;
using Names = std::set<std::string>;

enum class Others { kNone, kConnected, kLooking };  // what other processes do at the most

class SyncRounds {
 public:
  explicit SyncRounds(uint64_t seed)
      : seed_(seed), random_(seed), others_(static_cast<Others>(seed % 3)), f_(seed) {
    f_.options.secure_delete = random_.OneIn(2);
    if (random_.OneIn(2)) f_.options.quota_bytes = 4 << 20;
  }

  void Step();
  // The disk is well again, and the power fails once more: what was acknowledged is there.
  void Judge();
  // What was done, for the message of a failure.
  const std::string& trace() const { return trace_; }

 private:
  void TryOpen();
  void Put();
  void PutInTransaction();
  void CheckRecords();
  void Kill();
  void FailSyncs();
  void LookOrLeave();

  std::string NewData(size_t bytes) {
    std::string data = SyncFixture::Noise(++number_, bytes);
    maybe_.insert(data);
    return data;
  }
  void Trace(bool ok) { trace_ += ok ? "(ok)" : "(no)"; }

  const uint64_t seed_;
  testing::FakeRandom random_;
  const Others others_;
  SyncFixture f_;
  Looker looker_;
  Names maybe_;  // all that was ever put
  Names acknowledged_;
  Names refused_;  // by a transaction, in a process that lives on: not there
  int number_ = 0;
  bool ever_opened_ = false;
  std::string trace_;
};

void SyncRounds::Step() {
  const uint64_t what = random_.Below(14);
  absl::StrAppend(&trace_, " ", what);
  if (f_.store == nullptr && what < 10) return TryOpen();
  switch (what) {
    case 0: case 1: case 2: return Put();
    case 3: case 4: return PutInTransaction();
    case 5: case 6:
      f_.device.clock.Advance(absl::Milliseconds(1 + random_.Below(3000)));
      f_.store->Pump();
      return;
    case 7: return CheckRecords();
    case 8:
      f_.store.reset();
      refused_.clear();
      return;
    case 9: return Kill();
    case 10: case 11: return FailSyncs();
    case 12: return f_.device.disk.ClearFaults();
    default: return LookOrLeave();
  }
}

void SyncRounds::TryOpen() {
  const absl::Status opened = f_.TryOpen();
  ever_opened_ = ever_opened_ || opened.ok();
  absl::StrAppend(&trace_, "(open ", absl::StatusCodeToString(opened.code()), ")");
}

void SyncRounds::Put() {
  if (f_.TheStream() == nullptr) return;
  const std::string data = NewData(random_.OneIn(4) ? 50000 : random_.Below(9000));
  const bool put = f_.Put(data).ok();
  if (put) acknowledged_.insert(data);
  Trace(put);
}

void SyncRounds::PutInTransaction() {
  const auto stream = f_.store->OpenStream("s");
  if (!stream.ok()) return;
  const std::string data = NewData(random_.Below(9000));
  const bool put =
      f_.store->Transact([&](Transaction& t) { return t.Put(**stream, "k", data); }).ok();
  (put ? acknowledged_ : refused_).insert(data);
  Trace(put);
}

void SyncRounds::CheckRecords() {
  if (!f_.store->Flush().ok() || !f_.store->OpenStream("s").ok()) return;
  const std::vector<std::string> records = f_.Records();
  const Names there(records.begin(), records.end());
  REQUIRE(there.size() == records.size());  // nothing twice
  for (const std::string& data : acknowledged_) REQUIRE(there.count(data) == 1);
  for (const std::string& data : refused_) REQUIRE(there.count(data) == 0);
}

void SyncRounds::Kill() {
  f_.device.Kill(std::move(f_.store), "/store/eddy.intake");
  looker_.Leave();  // CrashDisk kills all who have the files open
  refused_.clear();
}

void SyncRounds::FailSyncs() {
  const uint64_t nth = 1 + random_.Below(4);
  f_.device.disk.FailNth(CrashDisk::Op::kSync, nth, CrashDisk::Fault::kIoError,
                         /*sticky=*/random_.OneIn(2));
}

void SyncRounds::LookOrLeave() {
  if (others_ == Others::kNone || !ever_opened_) return;  // not yet in WAL mode, perhaps
  if (looker_.view && random_.OneIn(2)) return looker_.EndView();
  if (looker_.reader) return looker_.Leave();
  const bool looks = looker_.Look(f_.device.disk);
  if (looks && others_ == Others::kConnected) looker_.EndView();
}

void SyncRounds::Judge() {
  f_.device.disk.ClearFaults();
  if (f_.store == nullptr) f_.Open();
  for (int i = 0; i < 10; ++i) {
    f_.device.clock.Advance(absl::Seconds(6));
    f_.store->Pump();
  }
  const std::string last = NewData(10);
  f_.PutAcknowledged(last);
  acknowledged_.insert(last);
  looker_.Leave();
  f_.device.PowerCut(std::move(f_.store), seed_);
  f_.OpenUndamaged();
  const std::vector<std::string> records = f_.Records();
  const Names there(records.begin(), records.end());
  CHECK(there.size() == records.size());
  size_t missing = 0;
  for (const std::string& data : acknowledged_) missing += there.count(data) == 0;
  CHECK(missing == 0);
  size_t unknown = 0;
  for (const std::string& data : there) unknown += maybe_.count(data) == 0;
  CHECK(unknown == 0);
}

TEST_CASE("whatever syncs fail, what was acknowledged is there after a power cut",
          "[store][sync][fault][sweep]") {
  const auto seeds = static_cast<uint64_t>(testing::Scaled(30));
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    SyncRounds rounds(seed);
    for (int step = 0; step < 60; ++step) {
      INFO("seed " << seed << rounds.trace());
      rounds.Step();
    }
    INFO("seed " << seed << rounds.trace());
    rounds.Judge();
  }
}

}  // namespace
}  // namespace eddy
