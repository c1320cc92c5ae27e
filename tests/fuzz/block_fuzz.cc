// BlockStore on arbitrary rows of the table, and SegmentLog::Read over them: no
// row makes a reader see bytes that do not match their checksum, read outside of
// them, or go round for ever.
//
// The input is rows, one after the other:
//   u8 flags   bit 0: the checksum is right; bits 1..2: the log;
//              bits 3..4: the span is 0 that of the bytes, 1 what follows,
//              2 the column itself is
//   i64 span   in these last two cases
//   u16 place  the position, in words
//   i16 time
//   u8 size    of the bytes that follow; may be none
#include <memory>

#include "src/log/block_codec.h"
#include "src/log/block_store.h"
#include "src/log/intake.h"
#include "src/log/segment_log.h"
#include "src/sql/database.h"
#include "src/sql/schema.h"
#include "tests/fakes/device.h"
#include "tests/fuzz/fuzz.h"

namespace eddy::fuzz {
namespace {

constexpr char kPath[] = "/store/eddy.db";
constexpr log::LogId kLogs = 4;  // an input; the next one's are others, for the sake of the cache
constexpr size_t kRowsMax = 16;

class NoHost final : public log::LogHost {
  absl::Status WaitForRoom(absl::Duration) override { return absl::OkStatus(); }
  absl::Status WaitCommitted(log::LogId, uint64_t, absl::Duration) override {
    return absl::OkStatus();
  }
  void OnSealed(size_t) override {}
  void BetweenCommits(const std::function<void()>& work) override { work(); }
  absl::Status CheckMayCommit() const override { return absl::OkStatus(); }
};

// Made once: the disk, the table, an intake in which nothing lies.
struct World {
  World() {
    Hold(device.files.PrepareDirectory("/store").ok(), "no directory");
    sql::OpenOptions options;
    options.vfs = device.disk.name();
    auto opened = sql::Database::Open(kPath, options);
    Hold(opened.ok() && sql::PrepareSchema(*opened).ok(), "no database");
    db = std::make_unique<sql::Database>(*std::move(opened));
    auto mapped = log::Intake::Map(&device.files, "/store/intake", {64 << 10, 1});
    Hold(mapped.ok(), "no intake");
    intake = *std::move(mapped);
    intake->Reset({1, 2}, 3);
    options.mode = sql::Mode::kReadOnly;
    auto store = log::BlockStore::Open(kPath, options);
    Hold(store.ok(), "a store of blocks that cannot be opened");
    blocks = *std::move(store);
  }
  testing::Device device;
  std::unique_ptr<sql::Database> db;
  std::unique_ptr<log::Intake> intake;
  std::unique_ptr<log::BlockStore> blocks;
};

void Insert(sql::Database& db, log::LogId first_log, Input* input) {
  Hold(db.Exec("BEGIN; DELETE FROM blocks").ok(), "rows that cannot be deleted");
  {
    auto row = db.Prepare(
        "INSERT OR REPLACE INTO blocks (id, frame_count, first_time_ms, last_time_ms, "
        "time_trusted, kept_ms, checksum, span, bytes) VALUES (?, 1, 0, ?, 1, 0, ?, ?, ?)");
    Hold(row.ok(), "no statement");
    for (size_t i = 0; i < kRowsMax && !input->empty(); ++i) {
      const uint8_t flags = input->Number<uint8_t>();
      const uint64_t position = uint64_t{input->Number<uint16_t>()} * 4;
      const int64_t id = log::BlockId(first_log + (flags >> 1) % kLogs, position);
      const int64_t time = input->Number<int16_t>();
      const int form = (flags >> 3) & 3;
      const int64_t number = form != 0 ? input->Number<int64_t>() : 0;
      const std::string_view bytes = input->Bytes(input->Number<uint8_t>());
      const int64_t span = form == 0 ? static_cast<int64_t>(bytes.size()) : number & 0x7ffffff;
      const uint64_t checksum = log::BlockChecksum(bytes, id, span) + ((flags & 1) != 0 ? 0 : 1);
      Hold(row->Bind(1, id)
               .Bind(2, time)
               .Bind(3, static_cast<int64_t>(checksum))
               .Bind(4, form < 2 ? log::SpanColumn(span) : number)
               .BindBlob(5, bytes)
               .Run()
               .ok(),
           "a row that cannot be written");
    }
  }
  Hold(db.Exec("COMMIT").ok(), "rows that cannot be committed");
}

void Find(log::BlockStore* blocks, log::LogId log, uint64_t position) {
  const auto block = blocks->Find(log, position);
  if (!block.ok()) {
    Hold(absl::IsDataLoss(block.status()), "another code than kDataLoss");
    return;
  }
  if (*block == nullptr) return;
  Hold((*block)->log == log &&
           ((*block)->damage.ok() ? (*block)->end == (*block)->first + (*block)->frames.size()
                                  : (*block)->frames.empty()),
       "a block of another place");
  Hold((*block)->end > position || (*block)->first > position, "a block below the position");
}

void Read(World* world, log::BlockStore* blocks, log::LogId log) {
  NoHost host;
  constexpr uint64_t kEnd = 1 << 20;  // above every row
  log::SegmentLog reader(log, 0, kEnd, kEnd, world->intake.get(), blocks, &host,
                         &world->device.clock);
  uint64_t position = 0;
  for (size_t reads = 0;; ++reads) {
    Hold(reads < 100'000, "a reader that goes round for ever");
    log::ReadOptions options;
    options.frames_max = 3;
    const absl::StatusOr<log::ReadResult> result = reader.Read(position, options);
    if (!result.ok()) {
      Hold(absl::IsDataLoss(result.status()), "another code than kDataLoss");
      break;
    }
    for (const log::FrameView& frame : result->frames) {
      Hold(frame.position >= position && frame.end > frame.position, "frames out of order");
      position = frame.end;
      volatile char seen = 0;  // every byte is there to be read
      for (const char c : frame.key) seen = seen ^ c;
      for (const char c : frame.body) seen = seen ^ c;
    }
    if (result->frames.empty()) break;
    // Beyond it where a block of another place had to be stepped over.
    Hold(result->next >= position, "the next position is before the last frame's end");
    position = result->next;
  }
  for (const int64_t time : {-1, 0, 100}) {
    const absl::StatusOr<uint64_t> found = reader.FindTime(time);
    Hold(found.ok() || absl::IsDataLoss(found.status()), "another code than kDataLoss");
  }
}

std::string Row(uint8_t flags, uint16_t place, std::string_view bytes, int64_t span = 0) {
  std::string row(1, static_cast<char>(flags));
  row.append(reinterpret_cast<const char*>(&place), 2).append(2, '\1');
  if ((flags & 0x18) != 0) row.append(reinterpret_cast<const char*>(&span), sizeof(span));
  row.push_back(static_cast<char>(bytes.size()));
  return row.append(bytes);
}

}  // namespace

std::vector<std::string> Seeds() {
  log::FrameParts parts;
  parts.key = "key";
  parts.body = "a body of some length";
  std::string three;
  for (int i = 0; i < 3; ++i) three += Filled(parts, three.size(), 9);
  const uint16_t behind = static_cast<uint16_t>(three.size() / 4);
  const int64_t span = static_cast<int64_t>(three.size());
  std::string packed(three.size(), '\0');
  packed.resize(log::PackBlock(three, packed.data()));
  return {Row(1, 0, three) + Row(1, behind, three) + Row(3, 5, three),
          Row(1, 0, three) + Row(0, behind, three) + Row(1, behind + 100, three),
          Row(1, 0, "") + Row(1, 4, "no frame at all"),
          Row(1, 0, three) + Row(1, 4, three),
          Row(9, 0, packed, span) + Row(9, behind, packed, span) + Row(9, 500, packed, span + 4),
          Row(9, 0, packed, span) + Row(17, behind, packed, span) + Row(1, 500, three)};
}

}  // namespace eddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eddy;
  static fuzz::World* const world = new fuzz::World;  // libFuzzer leaves by _exit
  static uint32_t inputs = 0;
  const log::LogId first_log = inputs++ % 10'000 * fuzz::kLogs;
  fuzz::Input input(data, size);
  fuzz::Insert(*world->db, first_log, &input);
  for (log::LogId log = first_log; log < first_log + fuzz::kLogs; ++log) {
    for (const uint64_t position : {0, 1, 4, 60, 1 << 16, 1 << 18}) {
      fuzz::Find(world->blocks.get(), log, position);
    }
    fuzz::Read(world, world->blocks.get(), log);
  }
  // The WAL begins anew, so that a long run does not fill the memory.
  if (inputs % 100 == 0) {
    fuzz::Hold(world->db->Checkpoint(sql::CheckpointMode::kTruncate).ok(), "no checkpoint");
  }
  return 0;
}
