// Intake recovery: Leftovers, and what Open asks of the file before it, over an
// intake that a dead process left and that something has written into since.
//
// The input is a small program. It ends with the bytes.
//   0 log                  takes a segment for log 1..4
//   1 size                 publishes a frame in the segment taken last
//   2 offset, size, bytes  writes anything anywhere, the header included
//   3 offset               claims without publishing: passes over some words
#include <algorithm>
#include <map>
#include <memory>

#include "src/log/intake.h"
#include "tests/fakes/fake_files.h"
#include "tests/fuzz/fuzz.h"

namespace eddy::fuzz {
namespace {

constexpr char kPath[] = "/intake";
constexpr uint64_t kSalt = 77;
constexpr log::IntakeGeometry kGeometry{64 << 10, 2};
const log::IntakeIdentity kIdentity{1, 2};
// Log 3 has much committed; log 4 is not known.
const std::vector<std::pair<uint32_t, uint64_t>> kLogEnds = {{1, 0}, {2, 64}, {3, 1 << 20}};

// Writes the dead process's file; returns whether nothing has harmed it, and how
// many frames of log 1 were published.
bool Run(Input* input, log::Intake* intake, char* file, uint64_t* published) {
  bool intact = true;
  uint32_t segment = log::kNoSegment, log_id = 0;
  size_t used = 0;
  uint64_t first = 0;
  std::map<uint32_t, uint64_t> next;  // position of a log's next segment
  while (!input->empty()) {
    switch (input->Number<uint8_t>() % 4) {
      case 0: {
        if (segment != log::kNoSegment) next[log_id] = first + used;
        log_id = 1 + input->Number<uint8_t>() % 4;
        first = next[log_id];
        segment = intake->Take(log_id, first);
        used = 0;
        break;
      }
      case 1: {
        const std::string body(input->Number<uint16_t>() % 5000, 'b');
        log::FrameParts parts;
        parts.key = "k";
        parts.body = body;
        if (segment == log::kNoSegment || used + log::AlignFrame(parts.Bytes()) >
                                              kGeometry.segment_bytes - log::kSegmentHeaderBytes) {
          break;
        }
        const std::string frame = Filled(parts, first + used, kSalt);
        std::memcpy(intake->data(segment) + log::kSegmentHeaderBytes + used, frame.data(),
                    frame.size());
        used += frame.size();
        if (log_id == 1) ++*published;
        break;
      }
      case 2: {
        const size_t at = input->Number<uint32_t>() % kGeometry.FileBytes();
        const std::string_view bytes = input->Bytes(input->Number<uint8_t>());
        std::memcpy(file + at, bytes.data(), std::min(bytes.size(), kGeometry.FileBytes() - at));
        intact = false;
        break;
      }
      default:
        used = std::min<size_t>(used + 4 * input->Number<uint8_t>(),
                                kGeometry.segment_bytes - log::kSegmentHeaderBytes);
    }
  }
  return intact;
}

void CheckRuns(const std::vector<log::LeftRun>& runs, uint64_t salt) {
  for (size_t i = 0; i < runs.size(); ++i) {
    const log::LeftRun& run = runs[i];
    const auto log = std::find_if(kLogEnds.begin(), kLogEnds.end(),
                                  [&](const auto& l) { return l.first == run.log; });
    Hold(log != kLogEnds.end(), "a run of a log that nobody knows");
    Hold(run.first >= log->second, "a run below the log's end");
    Hold(i == 0 || run.log > runs[i - 1].log ||
             (run.log == runs[i - 1].log && run.first >= runs[i - 1].first),
         "runs out of order");
    uint64_t frames = 0;
    for (size_t at = 0; at < run.frames.size(); ++frames) {
      const std::vector<char> rest(run.frames.begin() + static_cast<ptrdiff_t>(at),
                                   run.frames.end());
      log::FrameView view;
      Hold(log::ParseFrame(rest.data(), rest.size(), run.first + at, &view) &&
               log::FrameMatches(rest.data(), rest.size(), run.first + at, salt),
           "a run holds something that is no frame of its place");
      at += static_cast<size_t>(view.end - view.position);
    }
    Hold(frames == run.frame_count && frames > 0, "a wrong count of frames");
  }
}

}  // namespace

std::vector<std::string> Seeds() {
  const std::string take1("\0\0", 2), take3("\0\2", 2), frame("\1\20\0", 3), hole("\3\5", 2);
  const std::string into_frames("\2\120\20\0\0\4abcd", 10), into_header("\2\10\0\0\0\2zz", 8);
  return {take1 + frame + frame + hole + frame,
          take1 + frame + take1 + frame + frame,
          take3 + frame + hole + frame + into_frames,
          take1 + frame + frame + into_header,
          into_header};
}

}  // namespace eddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eddy;
  fuzz::Input input(data, size);
  testing::FakeFiles files;
  bool intact;
  uint64_t published = 0;
  {
    auto intake = log::Intake::Map(&files, fuzz::kPath, fuzz::kGeometry);
    fuzz::Hold(intake.ok(), "an intake that cannot be mapped");
    (*intake)->Reset(fuzz::kIdentity, fuzz::kSalt);
    char* const file = (*intake)->data(0) - log::kIntakeHeaderBytes;
    intact = fuzz::Run(&input, intake->get(), file, &published);
  }
  // As Open finds it.
  const absl::StatusOr<bool> foreign = log::Intake::IsForeign(&files, fuzz::kPath);
  const absl::StatusOr<log::IntakeGeometry> geometry =
      log::Intake::ReadGeometry(&files, fuzz::kPath);
  fuzz::Hold(foreign.ok(), "IsForeign fails on a file that is there");
  fuzz::Hold(!intact || (geometry.ok() && !*foreign), "an intake of ours is not known");
  if (!geometry.ok()) return 0;
  fuzz::Hold(geometry->FileBytes() <= fuzz::kGeometry.FileBytes(), "more segments than bytes");
  auto intake = log::Intake::Map(&files, fuzz::kPath, *geometry);
  fuzz::Hold(intake.ok(), "an intake that cannot be mapped again");
  if (!(*intake)->BelongsTo(fuzz::kIdentity)) {
    fuzz::Hold(!intact, "an intake of ours belongs to somebody else");
    return 0;
  }
  // The salt may be another one, if the header was forged with its checksum.
  uint64_t salt;
  std::memcpy(&salt, (*intake)->data(0) - log::kIntakeHeaderBytes + 24, sizeof(salt));
  const std::vector<log::LeftRun> runs = (*intake)->Leftovers(fuzz::kLogEnds);
  fuzz::CheckRuns(runs, salt);
  uint64_t found = 0;
  for (const log::LeftRun& run : runs) found += run.log == 1 ? run.frame_count : 0;
  fuzz::Hold(!intact || found == published, "a published frame is not found");
  (*intake)->Reset(fuzz::kIdentity, fuzz::kSalt + 1);
  fuzz::Hold((*intake)->Leftovers(fuzz::kLogEnds).empty(), "something is left after a Reset");
  return 0;
}
