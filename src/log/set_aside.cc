#include "src/log/set_aside.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/log/block_extents.h"
#include "src/log/meta.h"
#include "src/sql/database.h"

namespace eddy::log {
namespace {

constexpr char kShmSuffix[] = "-shm";
// What is moved before the database, which a new one may replace then.
constexpr const char* kMovedFirst[] = {sql::kWalSuffix, kExtentsSuffix};
constexpr char kWhyFile[] = "/why.txt";
constexpr char kUnsalvagedFile[] = "/unsalvaged";
constexpr char kMovingFile[] = "/moving";

std::string Place(const std::string& directory, int number) {
  return absl::StrCat(directory, "/damaged-", number);
}

bool HoldsDatabase(Files* files, const std::string& place) {
  return files->Exists(place + kDatabaseFile);
}
bool HoldsMovedFirst(Files* files, const std::string& place) {
  return std::any_of(std::begin(kMovedFirst), std::end(kMovedFirst), [&](const char* suffix) {
    return files->Exists(place + kDatabaseFile + suffix);
  });
}
bool IsTaken(Files* files, const std::string& place) {
  return files->Exists(place) && (HoldsDatabase(files, place) || HoldsMovedFirst(files, place));
}

// A small file; its content matters to people only, and needs no sync.
absl::Status Write(Files* files, const std::string& path, std::string_view text) {
  if (files->Exists(path)) return absl::OkStatus();  // of the attempt before
  EDDY_ASSIGN_OR_RETURN(const std::unique_ptr<Mapping> mapping,
                        files->MapShared(path, text.size()));
  std::memcpy(mapping->data(), text.data(), text.size());
  return absl::OkStatus();
}

// Steps 2 and 3.
absl::Status Move(Files* files, const std::string& directory, const std::string& place) {
  const std::string database = directory + kDatabaseFile;
  for (const char* const suffix : kMovedFirst) {
    if (!files->Exists(database + suffix)) continue;
    // Of who has looked at the database since the first was moved: SQLite makes an empty
    // one, which harms no new database.
    if (files->Exists(place + kDatabaseFile + suffix) &&
        files->Size(database + suffix).value_or(1) == 0) {
      continue;
    }
    EDDY_RETURN_IF_ERROR(files->Rename(database + suffix, place + kDatabaseFile + suffix));
  }
  if (files->Exists(database)) {
    EDDY_RETURN_IF_ERROR(files->Rename(database, place + kDatabaseFile));
  }
  EDDY_RETURN_IF_ERROR(files->Remove(place + kMovingFile));
  // Memory that SQLite makes anew. If it stays, the next to come empties it.
  if (files->Exists(database + kShmSuffix)) files->Remove(database + kShmSuffix).IgnoreError();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> SetAside(Files* files, const std::string& directory,
                                     std::string_view why, absl::Time now) {
  int number = kSetAsidesMax;  // above the highest, so that the highest is the newest
  while (number > 0 && !IsTaken(files, Place(directory, number))) --number;
  if (++number <= kSetAsidesMax) {
    const std::string place = Place(directory, number);
    EDDY_RETURN_IF_ERROR(files->PrepareDirectory(place));
    EDDY_RETURN_IF_ERROR(Write(
        files, place + kWhyFile,
        absl::StrCat("Set aside by eddy at ", absl::FormatTime(now, absl::UTCTimeZone()).c_str(),
                     " (as its clock had it), because it could not be read back:\n", AbslView(why),
                     "\nWhat is intact goes into the new database; eddy status tells how far. "
                     "Nothing of eddy deletes this directory.\n")));
    EDDY_RETURN_IF_ERROR(
        Write(files, place + kUnsalvagedFile, "not yet all of it is in the new database\n"));
    // A WAL alone. What will stand in the database's place then is a new one.
    if (!files->Exists(directory + kDatabaseFile)) {
      EDDY_RETURN_IF_ERROR(Write(files, place + kDatabaseFile, "there was none\n"));
    }
    EDDY_RETURN_IF_ERROR(Write(files, place + kMovingFile, "being moved here\n"));
    EDDY_RETURN_IF_ERROR(Move(files, directory, place));
    return place;
  }
  return absl::ResourceExhaustedError(
      absl::StrCat(directory, ": ", kSetAsidesMax, " damaged databases were set aside already; ",
                   "no more before some of them are moved away. This one: ", AbslView(why)));
}

absl::Status FinishSetAside(Files* files, const std::string& directory) {
  for (const std::string& place : SetAsides(files, directory)) {
    if (!files->Exists(place + kMovingFile)) continue;
    // Before step 2 nothing has moved, and behind step 3 all has; but of a store without a
    // database what stands in its place was there from the begin.
    const bool began = HoldsMovedFirst(files, place) || HoldsDatabase(files, place);
    if (!began || (HoldsDatabase(files, place) && files->Exists(directory + kDatabaseFile))) {
      EDDY_RETURN_IF_ERROR(files->Remove(place + kMovingFile));
      continue;
    }
    EDDY_RETURN_IF_ERROR(Move(files, directory, place));
  }
  return absl::OkStatus();
}

std::vector<std::string> SetAsides(Files* files, const std::string& directory) {
  std::vector<std::string> places;
  for (int number = 1; number <= kSetAsidesMax; ++number) {
    const std::string place = Place(directory, number);
    if (IsTaken(files, place)) places.push_back(place);
  }
  return places;
}

std::vector<std::string> Unsalvaged(Files* files, const std::string& directory) {
  std::vector<std::string> places;
  for (std::string& place : SetAsides(files, directory)) {
    if (files->Exists(place + kUnsalvagedFile)) places.push_back(std::move(place));
  }
  return places;
}

absl::Status MarkSalvaged(Files* files, const std::vector<std::string>& set_asides) {
  for (const std::string& place : set_asides) {
    const absl::Status removed = files->Remove(place + kUnsalvagedFile);
    if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  }
  return absl::OkStatus();
}

}  // namespace eddy::log
