// Many rounds of put, trim, drop, fail, die and cut, at random, against what must be there
// and against the real files.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/log/block_extents.h"
#include "src/log/retention.h"
#include "tests/fakes/scale.h"
#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

using Op = testing::CrashDisk::Op;
using Fault = testing::CrashDisk::Fault;

constexpr char kDatabasePath[] = "/store/eddy.db";
constexpr char kBlocksPath[] = "/store/eddy.db-blocks";

struct Put {
  uint64_t position = 0;
  uint64_t end = 0;
  int number = 0;
  size_t bytes = 0;
  bool committed = false;
};

struct ModelRun {
  explicit ModelRun(uint64_t seed) : random(seed * 7919), device(seed) {
    options.directory = kStore;
    options.store.intake_bytes = (256 << 10) << random.Below(3);
    options.store.platform = device.platform();
    mode = static_cast<int>(random.Below(4));
    if (mode == 1 || mode == 2) {
      options.store.quota_bytes = 8 * options.store.intake_bytes + (random.Below(4) << 20);
      options.store.at_quota = mode == 1 ? AtLimit::kDropOldest : AtLimit::kRejectNew;
    }
    REQUIRE(Open());
    for (int i = 0; i < 2; ++i) {
      Log* made = nullptr;
      REQUIRE(engine->WithDatabase([&](sql::Database& db) {
                absl::StatusOr<Log*> log = engine->AddLog(db);
                if (log.ok()) made = *log;
                return log.status();
              }).ok());
      ids.push_back(made->id());
    }
    puts.resize(2);
    trimmed.resize(2);
    seen_oldest.resize(2);
    FindLogs();
  }
  ~ModelRun() { device.disk.OnStep(nullptr); }

  void FindLogs() {
    logs.clear();
    for (const LogId id : ids) logs.push_back(*engine->OpenLog(id));
    KeepLimits limits;
    limits.droppable = mode == 1;
    if (mode == 3) {  // a limit of its own
      limits.droppable = true;
      limits.bytes = 1500000;
    }
    engine->SetRetention({ids[0]}, limits);
    engine->SetRetention({ids[1]}, mode == 3 ? KeepLimits{} : limits);
  }
  bool Open() {
    for (int tries = 0; tries < 3; ++tries) {
      absl::StatusOr<std::unique_ptr<Engine>> opened = Engine::Open(options);
      if (opened.ok()) {
        engine = *std::move(opened);
        why = engine->FinishOpen();
        if (why.ok()) {
          if (!ids.empty()) FindLogs();
          return true;
        }
        if (std::getenv("EXT_VERBOSE")) std::printf("  finish open %s\n", why.ToString().c_str());
        device.Kill(std::move(engine), kIntake);
      } else {
        why = opened.status();
        if (std::getenv("EXT_VERBOSE")) std::printf("  open %s\n", why.ToString().c_str());
      }
      ClearFaults();
    }
    return false;
  }
  void ClearFaults() {
    device.disk.ClearFaults();
    faulty = false;
  }
  bool TryPut(size_t which, size_t bytes) {
    FrameParts parts;
    parts.kind = 5;
    parts.time_ms = 1000;
    const std::string body = RawBody(next, bytes);
    parts.key = "k";
    parts.body = body;
    if (parts.Bytes() > logs[which]->room()) return false;
    const absl::StatusOr<Appended> appended = logs[which]->Append(parts, absl::Milliseconds(5));
    if (!appended.ok()) {
      refused[next] = bytes;  // a large one, whose commit failed, may turn up after a death
      ++next;
      return false;
    }
    puts[which].push_back({appended->position, appended->end, next, bytes, false});
    ++next;
    return true;
  }
  size_t RandomBytes() {
    switch (random.Below(6)) {
      case 0: return 10 + random.Below(size_t{100});
      case 1: return 1000 + random.Below(size_t{3000});
      case 2: return 20000 + random.Below(size_t{20000});
      case 3: return 4000 + random.Below(size_t{8000});
      case 4: return random.OneIn(4) ? 60000 + random.Below(size_t{140000}) : 9000;
      default: return 7000;
    }
  }
  bool Flush() {
    std::vector<size_t> ends;
    for (const auto& log : puts) ends.push_back(log.size());
    if (with_early && random.OneIn(4)) {
      early_left = 1 + static_cast<int>(random.Below(60));
      early_syncs = device.disk.sync_count();
      early_blocks = device.disk.BytesWritten("-blocks");
      device.disk.OnStep([this] {
        if (early_left == 0 || in_early) return;
        const bool synced = device.disk.sync_count() != early_syncs &&
                            device.disk.BytesWritten("-blocks") != early_blocks;
        if (device.disk.BytesWritten("-blocks") == early_blocks) {
          early_syncs = device.disk.sync_count();
        }
        if (!synced) return;
        in_early = true;
        while (early_left > 0) {
          --early_left;
          if (!TryPut(random.Below(size_t{2}), 6000 + random.Below(size_t{8000}))) early_left = 0;
        }
        in_early = false;
      });
    }
    const absl::Status status = engine->Flush();
    device.disk.OnStep(nullptr);
    if (!status.ok()) return false;
    for (size_t i = 0; i < 2; ++i) {
      for (size_t at = 0; at < ends[i]; ++at) puts[i][at].committed = true;
    }
    return true;
  }
  void Trim(size_t which) {
    if (puts[which].empty()) return;
    const Put& at = puts[which][random.Below(puts[which].size())];
    const uint64_t before = random.OneIn(5) ? logs[which]->committed() : at.position;
    (void)logs[which]->Trim(before);
    trimmed[which] = std::max(trimmed[which], std::min(before, logs[which]->committed()));
  }
  void Fail() {
    const Op op = std::vector<Op>{Op::kWrite, Op::kSync, Op::kTruncate, Op::kCreate}[random.Below(
        size_t{4})];
    const Fault fault =
        std::vector<Fault>{Fault::kFull, Fault::kIoError, Fault::kReadOnly}[random.Below(size_t{3})];
    const std::string suffix =
        std::vector<std::string>{"", "-blocks", "-blocks", "-wal", "eddy.db"}[random.Below(size_t{5})];
    device.disk.FailNth(op, 1 + random.Below(uint64_t{12}), fault, random.OneIn(3), suffix);
    faulty = true;
  }

  // After a power cut what was not committed may be gone, from some place on.
  void Judge(bool cut, bool dead = false) {
    for (size_t i = 0; i < 2; ++i) {
      std::vector<std::pair<uint64_t, std::string>> found;
      uint64_t from = 0;
      uint64_t lost = 0;
      for (;;) {
        const absl::StatusOr<ReadResult> read = logs[i]->Read(from, {});
        INFO(read.status().ToString());
        REQUIRE(read.ok());
        if (read->gap) {
          REQUIRE(read->gap->reason != GapReason::kDamaged);
          lost += read->gap->frame_count;
        }
        for (const FrameView& frame : read->frames) {
          found.emplace_back(frame.position, std::string(frame.body));
        }
        if (read->next == from || (read->frames.empty() && !read->gap)) break;
        from = read->next;
      }
      std::map<uint64_t, const Put*> by_position;
      for (const Put& put : puts[i]) by_position[put.position] = &put;
      INFO("log " << i << " trimmed " << trimmed[i] << " oldest " << logs[i]->oldest());
      const bool droppable = mode == 1 || (mode == 3 && i == 0);
      const uint64_t oldest = logs[i]->oldest();
      if (!droppable) REQUIRE(oldest <= trimmed[i]);
      REQUIRE(oldest >= seen_oldest[i]);
      if (!droppable) REQUIRE(lost == 0);
      // The trims that a death has forgotten may come back; nothing else.
      std::set<uint64_t> there;
      uint64_t last = 0;
      std::vector<Put> new_puts;
      for (const auto& [position, body] : found) {
        there.insert(position);
        REQUIRE(position >= last);
        last = position + 1;
        const auto put = by_position.find(position);
        if (put == by_position.end()) {
          const int number = std::atoi(body.c_str() + 7);
          INFO("unknown: record " << number << " at " << position);
          REQUIRE(dead);
          REQUIRE(refused.count(number) != 0);
          REQUIRE(body == RawBody(number, refused[number]));
          REQUIRE(body.size() > engine->inline_bytes_max() - 64);
          Put found_put{position, position + AlignFrame(kFrameHeaderBytes + 1 + body.size()), number,
                        body.size(), true};
          new_puts.push_back(found_put);
          continue;
        }
        REQUIRE(body == RawBody(put->second->number, put->second->bytes));
      }
      const uint64_t begins = found.empty() ? UINT64_MAX : found.front().first;
      uint64_t last_there = found.empty() ? 0 : found.back().first;
      for (const Put& put : puts[i]) {
        if (there.count(put.position) != 0) continue;
        if (put.end <= oldest || put.position < oldest) continue;
        INFO("missing " << put.position << " begins " << begins << " last " << last_there
                        << " committed " << put.committed << " log " << logs[i]->committed());
        REQUIRE(cut);
        REQUIRE_FALSE(put.committed);
        REQUIRE((found.empty() || put.position > last_there));
      }
      for (const Put& put : new_puts) {
        puts[i].insert(std::find_if(puts[i].begin(), puts[i].end(),
                                    [&](const Put& other) { return other.position > put.position; }),
                       put);
      }
      if (cut) {
        // What is gone is gone.
        std::vector<Put> kept;
        for (const Put& put : puts[i]) {
          if (there.count(put.position) != 0) kept.push_back(put);
        }
        puts[i] = kept;
      }
      // Keep the model small.
      std::vector<Put> kept;
      for (const Put& put : puts[i]) {
        if (put.end > durable_oldest[ids[i]]) kept.push_back(put);  // a drop may be forgotten
      }
      puts[i] = kept;
    }
    REQUIRE(engine->Stats().blocks_damaged == 0);
  }

  // The rows and the files, as another process sees them.
  void LookAtFiles() {
    sql::OpenOptions reader;
    reader.vfs = device.disk.name();
    reader.mode = sql::Mode::kReadOnly;
    absl::StatusOr<sql::Database> db = sql::Database::Open(kDatabasePath, reader);
    INFO(db.status().ToString());
    REQUIRE(db.ok());
    {
      absl::StatusOr<sql::Statement> places = db->Prepare(
          "SELECT bytes FROM blocks WHERE typeof(bytes) = 'integer' ORDER BY bytes");
      REQUIRE(places.ok());
      uint64_t end = 0;
      used_bytes = 0;
      for (;;) {
        const absl::StatusOr<bool> row = places->Step();
        REQUIRE(row.ok());
        if (!*row) break;
        const int64_t ref = places->ColumnInt(0);
        REQUIRE(ExtentAt(ref) >= end);
        end = AlignExtent(ExtentAt(ref) + ExtentBytes(ref));
        if (std::getenv("EXT_ROWS")) std::printf("    row at %d + %d\n", static_cast<int>(ExtentAt(ref)), static_cast<int>(ExtentBytes(ref)));
        used_bytes += AlignExtent(ExtentBytes(ref));
        REQUIRE(ExtentAt(ref) + ExtentBytes(ref) <= device.disk.Size(kBlocksPath));
      }
      used_end = end;
    }
    {
      absl::StatusOr<sql::Statement> oldest = db->Prepare("SELECT id, oldest_position FROM logs");
      REQUIRE(oldest.ok());
      for (;;) {
        const absl::StatusOr<bool> row = oldest->Step();
        REQUIRE(row.ok());
        if (!*row) break;
        durable_oldest[static_cast<LogId>(oldest->ColumnInt(0))] =
            static_cast<uint64_t>(oldest->ColumnInt(1));
      }
    }
    {
      absl::StatusOr<sql::Statement> counts = db->Prepare(
          "SELECT id, counted_position, counted_blocks, counted_frames, counted_bytes, "
          "(SELECT count(*) FROM blocks b WHERE b.id >= l.id << 47 AND "
          " b.id < (l.id << 47) + (counted_position >> 2)), "
          "(SELECT coalesce(sum(frame_count), 0) FROM blocks b WHERE b.id >= l.id << 47 AND "
          " b.id < (l.id << 47) + (counted_position >> 2)), "
          "(SELECT coalesce(sum(" EDDY_BLOCK_BYTES "), 0) FROM blocks b WHERE b.id >= l.id << 47 "
          " AND b.id < (l.id << 47) + (counted_position >> 2)) FROM logs l WHERE id > 0");
      INFO(counts.status().ToString());
      REQUIRE(counts.ok());
      for (;;) {
        const absl::StatusOr<bool> row = counts->Step();
        REQUIRE(row.ok());
        if (!*row) break;
        INFO("log " << counts->ColumnInt(0) << " counted to " << counts->ColumnInt(1));
        REQUIRE(counts->ColumnInt(2) == counts->ColumnInt(5));
        REQUIRE(counts->ColumnInt(3) == counts->ColumnInt(6));
        REQUIRE(counts->ColumnInt(4) == counts->ColumnInt(7));
      }
    }
  }
  uint64_t AllBytes() {
    return device.disk.Size(kDatabasePath) + device.disk.Size("/store/eddy.db-wal") +
           device.disk.Size(kBlocksPath) + *device.files.Size(kIntake);
  }

  void Step() {
    switch (random.Below(16)) {
      case 0: case 1: case 2: case 3: case 4: {
        const size_t which = random.Below(size_t{2});
        const size_t count = 1 + random.Below(size_t{random.OneIn(3) ? 60u : 8u});
        const size_t same = random.OneIn(2) ? RandomBytes() : 0;
        for (size_t i = 0; i < count; ++i) {
          if (!TryPut(which, same != 0 ? same : RandomBytes())) break;
        }
        break;
      }
      case 5: case 6: case 7: case 8:
        flushed = Flush();
        break;
      case 9: case 10:
        Trim(random.Below(size_t{2}));
        break;
      case 11:
        device.clock.Advance(absl::Milliseconds(random.Below(int64_t{100000})));
        engine->RunOnce();
        break;
      case 12:
        if (std::getenv("EXT_CHANGE") != nullptr && random.OneIn(3)) {
          // Reads of blocks fail, and then come again.
          device.disk.FailNth(Op::kRead, 1 + random.Below(uint64_t{3}), Fault::kIoError, true, "-blocks");
          for (size_t i = 0; i < 2; ++i) (void)logs[i]->Read(logs[i]->oldest(), {});
          Flush();
          ClearFaults();
        } else if (random.OneIn(2)) {
          Fail();
        } else {
          ClearFaults();
        }
        break;
      case 13:
        if (random.OneIn(3)) {
          what = "kill";
          // What is still appended while it dies is not there.
          device.Kill(std::move(engine), kIntake);
          if (random.OneIn(2)) ClearFaults();
          Reopen(false);
        }
        break;
      case 14:
        if (random.OneIn(3)) {
          what = "cut";
          device.disk.CutAt(random.Below(uint64_t{40}));
          for (int i = 0; i < 5; ++i) (void)TryPut(random.Below(size_t{2}), RandomBytes());
          Flush();
          device.disk.OnStep(nullptr);
          device.PowerCut(std::move(engine), random.Next());
          ClearFaults();
          Reopen(true);
        }
        break;
      case 15:
        if (random.OneIn(3)) {
          what = "close";
          const absl::Status closed = engine->Close();
          if (closed.ok()) {
            engine.reset();
            Reopen(false);
          } else {
            device.Kill(std::move(engine), kIntake);
            Reopen(false);
          }
        }
        break;
    }
  }
  void Reopen(bool cut) {
    if (std::getenv("EXT_CHANGE") != nullptr) {
      options.store.secure_delete = random.OneIn(4);
      if (options.store.quota_bytes != 0 && random.OneIn(3)) {
        options.store.quota_bytes = 8 * options.store.intake_bytes + (random.Below(6) << 20);
        quota_changed = true;
      }
      if (random.OneIn(3)) {
        options.store.headroom_bytes = random.OneIn(2) ? 1 << 20 : 0;
        device.files.SetFreeBytes(options.store.headroom_bytes == 0 ? uint64_t{1} << 40
                                                                    : 3 * options.store.intake_bytes + (random.Below(4) << 20));
      }
    }
    const bool opened = Open();
    INFO(what << ": " << why.ToString());
    REQUIRE(opened);
    Judge(cut, true);
    LookAtFiles();
  }

  // Nothing is there any more: what comes next lies at the begin, and the file is short.
  void Empty() {
    with_early = false;
    device.files.SetFreeBytes(uint64_t{1} << 40);
    ClearFaults();
    device.clock.Advance(absl::Minutes(2));
    for (int i = 0; i < 4 && !engine->Flush().ok(); ++i) device.clock.Advance(absl::Seconds(10));
    REQUIRE(Flush());
    Judge(false);
    for (int again = 0; again < 3; ++again) {
      for (size_t i = 0; i < 2; ++i) {
        REQUIRE(logs[i]->Trim(logs[i]->committed()).ok());
        trimmed[i] = logs[i]->committed();
      }
      REQUIRE(Flush());
      for (int i = 0; i < 9; ++i) {
        if (options.store.secure_delete && logs[0]->room() < 200000) return;
        INFO("mode " << mode << " room " << logs[0]->room() << " quota " << options.store.quota_bytes
                     << " headroom " << options.store.headroom_bytes << " secure "
                     << options.store.secure_delete << " file " << device.disk.Size(kBlocksPath)
                     << " db " << device.disk.Size(kDatabasePath) << " intake "
                     << options.store.intake_bytes);
        REQUIRE(TryPut(0, 12000));
      }
      REQUIRE(Flush());
      device.clock.Advance(absl::Minutes(2));
      engine->RunOnce();
      if (std::getenv("EXT_ROWS")) { std::printf("  again %d file %d\n", again, static_cast<int>(device.disk.Size(kBlocksPath))); LookAtFiles(); }
    }
    LookAtFiles();
    INFO("mode " << mode << ", file " << device.disk.Size(kBlocksPath) << ", used to " << used_end);
    if (options.store.secure_delete || options.store.headroom_bytes != 0) return;
    // Two blocks of these at the most stand there at a time.
    REQUIRE(used_end <= 262144);
    REQUIRE(device.disk.Size(kBlocksPath) <= used_end + (1 << 20));
    Judge(false);
  }

  testing::FakeRandom random;
  testing::Device device;
  EngineOptions options;
  std::unique_ptr<Engine> engine;
  int mode = 0;
  std::vector<LogId> ids;
  std::vector<Log*> logs;
  std::vector<std::vector<Put>> puts;
  std::vector<uint64_t> trimmed;
  std::vector<uint64_t> seen_oldest;
  int next = 0;
  std::map<int, size_t> refused;
  bool faulty = false;
  bool flushed = false;
  absl::Status why;
  std::string what;
  uint64_t used_bytes = 0;
  uint64_t used_end = 0;
  int early_left = 0;
  bool in_early = false;
  bool with_early = true;
  bool quota_changed = false;
  std::map<LogId, uint64_t> durable_oldest;
  uint64_t early_syncs = 0;
  uint64_t early_blocks = 0;
};

TEST_CASE("rounds of every kind and fault keep what they must, and leak no place",
          "[log][extents][extmodel][sweep]") {
  const char* const first = std::getenv("EXT_FIRST");
  const char* const count = std::getenv("EXT_COUNT");
  const char* const steps = std::getenv("EXT_STEPS");
  const uint64_t begin = first == nullptr ? 1 : std::strtoull(first, nullptr, 10);
  const uint64_t seeds = count == nullptr ? 4 : std::strtoull(count, nullptr, 10);
  const int rounds = steps == nullptr ? 200 : std::atoi(steps);
  for (uint64_t seed = begin; seed < begin + seeds; ++seed) {
    ModelRun run(seed);
    uint64_t over = 0;
    for (int step = 0; step < rounds; ++step) {
      INFO("seed " << seed << ", step " << step << ", mode " << run.mode << ", last " << run.what);
      run.flushed = false;
      run.Step();
      if (std::getenv("EXT_STEPSIZES")) {
            std::printf("  step %d flushed %d faulty %d %s: db %d wal %d blocks %d rejects %d\n", step, run.flushed, run.faulty, run.what.c_str(),
                        static_cast<int>(run.device.disk.Size(kDatabasePath)),
                        static_cast<int>(run.device.disk.Size("/store/eddy.db-wal")),
                        static_cast<int>(run.device.disk.Size(kBlocksPath)), run.engine->Stats().rejects);
      }
      if (run.flushed && !run.faulty && !run.quota_changed && run.options.store.quota_bytes != 0) {
        const uint64_t all = run.AllBytes();
        if (all > run.options.store.quota_bytes) {
          over = std::max(over, all - run.options.store.quota_bytes);
          if (std::getenv("EXT_VERBOSE")) {
            std::printf("  step %d over %d: db %d wal %d blocks %d intake %d quota %d\n", step,
                        static_cast<int>(all - run.options.store.quota_bytes),
                        static_cast<int>(run.device.disk.Size(kDatabasePath)),
                        static_cast<int>(run.device.disk.Size("/store/eddy.db-wal")),
                        static_cast<int>(run.device.disk.Size(kBlocksPath)),
                        static_cast<int>(*run.device.files.Size(kIntake)),
                        static_cast<int>(run.options.store.quota_bytes));
          }
        }
      }
      if (step % 10 == 0 && !run.faulty) {
        run.Judge(false);
        run.LookAtFiles();
      }
    }
    INFO("seed " << seed << ", at the end");
    if (over > 0) std::printf("seed %d: mode %d over the quota by %d\n", static_cast<int>(seed), run.mode, static_cast<int>(over));
    run.Empty();
  }
}

}  // namespace
}  // namespace eddy::log
