// SetAside: where a database goes that cannot be read back. It is moved, never deleted,
// and never written over: what nobody can read today a tool may read tomorrow.
//
//   <store>/damaged-<n>/eddy.db, -wal, -blocks   as they were
//                       why.txt                  when and why
//                       unsalvaged               as long as something is to be taken over
//                       moving                   until step 3 is made
//
// Order of the steps, and what a death after each leaves:
//   1  directory, why.txt, unsalvaged,  the database in its place, to be judged anew; the
//      moving                           next one to be moved finds the directory and uses it
//   2  the WAL is renamed, then the     its database without them: FinishSetAside makes
//      blocks' file                     step 3 before anybody can open that
//   3  the database is renamed          no database: the next open makes a new one, and
//                                       `unsalvaged` says from where to fill it
//   4  `moving` is removed              as after 3. Without it what lies here alone is what
//                                       somebody has left when he removed the rest
// They go first, because a new database beside an old WAL would be told its pages, and
// beside old blocks would write over them.
// Each renaming is synced before the next begins.
//
// What stands in `unsalvaged` directories is taken over by salvage.h.
// Depends on platform.h, meta.h.
#ifndef EDDY_SRC_LOG_SET_ASIDE_H_
#define EDDY_SRC_LOG_SET_ASIDE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/platform.h"

namespace eddy::log {

// More are not made: whatever damages a device so often, it is no accident of the disk.
inline constexpr int kSetAsidesMax = 100;

// All under the lock of the store, with no connection open.

// Sets the database of the store in `directory` aside; returns where it lies.
//   kResourceExhausted   there are kSetAsidesMax already, or the disk is full.
//   or as Files: nothing is changed then that FinishSetAside would not bring to an end.
absl::StatusOr<std::string> SetAside(Files* files, const std::string& directory,
                                     std::string_view why, absl::Time now);

// Brings to its end what a death has interrupted.
absl::Status FinishSetAside(Files* files, const std::string& directory);

// All that there are, and those with something to be taken over; the oldest first.
std::vector<std::string> SetAsides(Files* files, const std::string& directory);
std::vector<std::string> Unsalvaged(Files* files, const std::string& directory);

// Everything of them is taken over.
absl::Status MarkSalvaged(Files* files, const std::vector<std::string>& set_asides);

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_SET_ASIDE_H_
