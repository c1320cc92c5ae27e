#include "src/log/intake.h"

#include <algorithm>
#include <cstring>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/frame.h"

namespace eddy::log {

struct Intake::Header {
  char magic[8];
  uint32_t version;
  uint32_t segment_bytes;
  uint32_t segment_count;
  uint32_t reserved;
  uint64_t salt;
  uint64_t boot;
  uint64_t store;
  uint64_t check;  // of all above
  std::atomic<uint64_t> suspect;
};

struct Intake::SegmentHeader {
  uint64_t first_position;
  uint64_t log;
  uint64_t check;  // 0: free
  char reserved[40];
};

namespace {

constexpr char kMagic[8] = {'e', 'd', 'd', 'y', 'i', 'n', 't', '\n'};
constexpr uint32_t kVersion = 1;
constexpr uint32_t kSegmentBytesUsual = 64 << 10;
constexpr uint32_t kSegmentBytesMin = 8 << 10;
constexpr uint32_t kSegmentBytesMax = 256 << 10;
constexpr size_t kHeaderChecked = 48;
constexpr size_t kPageBytes = 4096;

bool IsZero(const char* page) {
  return page[0] == 0 && std::memcmp(page, page + 1, kPageBytes - 1) == 0;
}

}  // namespace

IntakeGeometry PlanIntake(size_t intake_bytes) {
  uint32_t segment = kSegmentBytesUsual;
  if (intake_bytes < 4 * kSegmentBytesUsual) segment = static_cast<uint32_t>(intake_bytes / 4);
  while (segment < kSegmentBytesMax && intake_bytes / 32 > segment) segment *= 2;
  return {segment, static_cast<uint32_t>(intake_bytes / segment)};
}

Intake::Intake(std::unique_ptr<Mapping> mapping, const IntakeGeometry& geometry)
    : mapping_(std::move(mapping)), base_(mapping_->data()), geometry_(geometry) {
  static_assert(sizeof(Header) == kHeaderChecked + 16);
  static_assert(kSegmentBytesMin % kPageBytes == 0);
  static_assert(sizeof(SegmentHeader) == kSegmentHeaderBytes);
  static_assert(offsetof(SegmentHeader, first_position) == 0);  // first_position()
}

absl::StatusOr<std::unique_ptr<Intake>> Intake::Map(Files* files, const std::string& path,
                                                    const IntakeGeometry& geometry) {
  EDDY_ASSIGN_OR_RETURN(std::unique_ptr<Mapping> mapping,
                        files->MapShared(path, geometry.FileBytes()));
  return std::unique_ptr<Intake>(new Intake(std::move(mapping), geometry));
}

std::unique_ptr<Intake> Intake::InMemory(const IntakeGeometry& geometry) {
  class Memory final : public Mapping {
   public:
    explicit Memory(size_t bytes) : size_(bytes), bytes_(new char[bytes + kPageBytes]()) {}
    // On a page, as a mapping is: the tail's line must not be shared with others.
    char* data() override {
      const auto at = reinterpret_cast<uintptr_t>(bytes_.get());
      return bytes_.get() + (kPageBytes - at % kPageBytes) % kPageBytes;
    }
    size_t size() const override { return size_; }

   private:
    const size_t size_;
    const std::unique_ptr<char[]> bytes_;
  };
  return std::unique_ptr<Intake>(
      new Intake(std::make_unique<Memory>(geometry.FileBytes()), geometry));
}

absl::StatusOr<IntakeGeometry> Intake::ReadGeometry(Files* files, const std::string& path) {
  EDDY_ASSIGN_OR_RETURN(const uint64_t size, files->Size(path));
  const absl::Status none = absl::NotFoundError(absl::StrCat(path, " is not an intake file"));
  if (size < kIntakeHeaderBytes) return none;
  EDDY_ASSIGN_OR_RETURN(std::unique_ptr<Mapping> mapping,
                        files->MapShared(path, kIntakeHeaderBytes));
  const Header& header = *reinterpret_cast<const Header*>(mapping->data());
  const IntakeGeometry geometry{header.segment_bytes, header.segment_count};
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 ||
      header.check != XXH3_64bits(&header, kHeaderChecked)) {
    return none;
  }
  if (header.version > kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " has version ", header.version, ", this eddy knows up to ", kVersion,
                     ": open the store with the newer eddy"));
  }
  if (geometry.segment_bytes < kSegmentBytesMin || geometry.segment_bytes > kSegmentBytesMax ||
      geometry.segment_bytes % kSegmentBytesMin != 0 || geometry.segment_count == 0 ||
      // Divided, not multiplied: on 32 bits a crafted product would wrap.
      geometry.segment_count > kIntakeBytesMax / geometry.segment_bytes ||
      geometry.FileBytes() > size) {
    return none;
  }
  return geometry;
}

absl::StatusOr<IntakeIdentity> Intake::ReadIdentity(Files* files, const std::string& path) {
  EDDY_RETURN_IF_ERROR(ReadGeometry(files, path).status());
  EDDY_ASSIGN_OR_RETURN(std::unique_ptr<Mapping> mapping,
                        files->MapShared(path, kIntakeHeaderBytes));
  const Header& header = *reinterpret_cast<const Header*>(mapping->data());
  return IntakeIdentity{header.boot, header.store};
}

absl::StatusOr<bool> Intake::IsForeign(Files* files, const std::string& path) {
  EDDY_ASSIGN_OR_RETURN(const uint64_t size, files->Size(path));
  if (size < sizeof(kMagic)) return size != 0;
  EDDY_ASSIGN_OR_RETURN(std::unique_ptr<Mapping> mapping,
                        files->MapShared(path, static_cast<size_t>(
                                                   std::min<uint64_t>(size, kIntakeHeaderBytes))));
  constexpr char kNothing[sizeof(kMagic)] = {};  // made, and its header not yet written
  return std::memcmp(mapping->data(), kMagic, sizeof(kMagic)) != 0 &&
         std::memcmp(mapping->data(), kNothing, sizeof(kMagic)) != 0;
}

Intake::Header* Intake::header() const { return reinterpret_cast<Header*>(base_); }

bool Intake::BelongsTo(const IntakeIdentity& identity) const {
  return header()->check == XXH3_64bits(header(), kHeaderChecked) &&
         header()->boot == identity.boot && header()->store == identity.store;
}

bool Intake::IsOfEarlierBoot(const IntakeIdentity& identity) const {
  return header()->check == XXH3_64bits(header(), kHeaderChecked) &&
         header()->boot != identity.boot && header()->store == identity.store;
}

void Intake::MarkSuspect(uint64_t boot) {
  header()->suspect.store(boot, std::memory_order_relaxed);
}
void Intake::ClearSuspect() { header()->suspect.store(0, std::memory_order_relaxed); }
bool Intake::IsSuspect(uint64_t boot) const {
  return header()->suspect.load(std::memory_order_relaxed) == boot;
}

Intake::SegmentHeader* Intake::segment_header(uint32_t segment) {
  return reinterpret_cast<SegmentHeader*>(data(segment));
}
const Intake::SegmentHeader* Intake::segment_header(uint32_t segment) const {
  return const_cast<Intake*>(this)->segment_header(segment);
}

uint64_t Intake::SegmentCheck(uint32_t segment, uint64_t salt) const {
  const uint64_t check =
      XXH3_64bits_withSeed(segment_header(segment), 16, salt ^ (uint64_t{segment} << 48));
  return check == 0 ? 1 : check;
}

std::vector<LeftRun> Intake::Leftovers(
    const std::vector<std::pair<uint32_t, uint64_t>>& log_ends) const {
  const Header& header = *this->header();
  std::vector<LeftRun> runs;
  for (uint32_t i = 0; i < geometry_.segment_count; ++i) {
    const SegmentHeader* segment = segment_header(i);
    if (segment->check == 0 || segment->check != SegmentCheck(i, header.salt)) continue;
    const auto log = std::find_if(log_ends.begin(), log_ends.end(),
                                  [&](const auto& l) { return l.first == segment->log; });
    if (log == log_ends.end()) continue;
    const char* const frames = reinterpret_cast<const char*>(segment) + kSegmentHeaderBytes;
    const size_t size = geometry_.segment_bytes - kSegmentHeaderBytes;
    // Where a frame does not match, its claimer died before publishing: its
    // length is unknown, and the next match is looked for word by word.
    size_t begin = 0;  // of the run that ends at `at`
    const auto keep = [&](size_t end) {
      if (begin < end) runs.back().frames.assign(frames + begin, end - begin);
    };
    size_t at = 0;
    while (at + kFrameHeaderBytes <= size) {
      const uint64_t position = segment->first_position + at;
      FrameView view;
      if (!ParseFrame(frames + at, size - at, position, &view) ||
          !FrameMatches(frames + at, size - at, position, header.salt)) {
        keep(at);
        at += kFrameAlignment;
        begin = at;
        continue;
      }
      const size_t bytes = static_cast<size_t>(view.end - position);
      if (position < log->second) {
        begin = at + bytes;
      } else {
        if (begin == at) runs.push_back({static_cast<uint32_t>(segment->log), position, {}, 0});
        ++runs.back().frame_count;
      }
      at += bytes;
    }
    keep(at);
  }
  std::sort(runs.begin(), runs.end(), [](const LeftRun& a, const LeftRun& b) {
    return a.log != b.log ? a.log < b.log : a.first < b.first;
  });
  return runs;
}

void Intake::Reset(const IntakeIdentity& identity, uint64_t salt) {
  Header& header = *this->header();
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kVersion;
  header.segment_bytes = geometry_.segment_bytes;
  header.segment_count = geometry_.segment_count;
  header.reserved = 0;
  header.salt = salt;
  header.boot = identity.boot;
  header.store = identity.store;
  header.check = XXH3_64bits(&header, kHeaderChecked);
  ClearSuspect();
  salt_ = salt;
  MutexLock lock(&mu_);
  // Whatever lies in them is under an old salt. It is zeroed when one is taken: all of
  // them would be most of the time that an open takes, and pages that nobody needs yet.
  free_.clear();
  unclean_.clear();
  for (uint32_t i = geometry_.segment_count; i-- > 0;) unclean_.push_back(i);
  free_count_.store(geometry_.segment_count, std::memory_order_release);
}

// Also one whose header says that it is free: pages of a file may be of different ages
// when its disk went away and came back within one boot. Pages that are zero are left
// alone, so that they need not be written.
void Intake::Clean(uint32_t segment) {
  for (size_t at = 0; at < geometry_.segment_bytes; at += kPageBytes) {
    char* const page = data(segment) + at;
    if (!IsZero(page)) std::memset(page, 0, kPageBytes);
  }
  // Before the header is written: with the new salt there it says that frames are here.
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

uint32_t Intake::Take(uint32_t log, uint64_t first_position) {
  uint32_t segment;
  bool clean = true;
  {
    MutexLock lock(&mu_);
    clean = !free_.empty();
    std::vector<uint32_t>& from = clean ? free_ : unclean_;
    if (from.empty()) return kNoSegment;
    segment = from.back();
    from.pop_back();
    CountFree();
  }
  if (!clean) Clean(segment);
  SegmentHeader* header = segment_header(segment);
  header->first_position = first_position;
  header->log = log;
  header->check = SegmentCheck(segment, salt_);
  return segment;
}

void Intake::Give(uint32_t segment) {
  std::memset(data(segment) + kSegmentHeaderBytes, 0,
              geometry_.segment_bytes - kSegmentHeaderBytes);
  // The compiler may not sink the zeroing below the header's (I1): a dead
  // process's stores are seen in the order in which its thread made them.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::memset(segment_header(segment), 0, sizeof(SegmentHeader));
  MutexLock lock(&mu_);
  free_.push_back(segment);
  CountFree();
}

void Intake::CountFree() {
  free_count_.store(static_cast<uint32_t>(free_.size() + unclean_.size()),
                    std::memory_order_release);
}

}  // namespace eddy::log
