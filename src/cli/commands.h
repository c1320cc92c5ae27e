// The commands of `eddy`, one function each, and what they share.
//
// Results go to stdout, everything else to stderr, so that output can be piped.
// status, tail and check read beside a living owner (ReadOnlyStore); the others
// open the store as its owner and fail when another process is that.
#ifndef EDDY_SRC_CLI_COMMANDS_H_
#define EDDY_SRC_CLI_COMMANDS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "eddy/store.h"
#include "src/cli/arguments.h"

namespace eddy::cli {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,   // the work failed; check: something is damaged; salvage: was lost
  kExitUsage = 2,    // wrong arguments, or the store could not be opened or salvaged
  kExitNothing = 3,  // queue receive: no message
};

// The words that follow the command's name.
using Words = std::vector<std::string>;

int RunStatus(const Words& words);
int RunStreamPut(const Words& words);
int RunStreamTail(const Words& words);
int RunQueueSend(const Words& words);
int RunQueueReceive(const Words& words);
int RunQueueDelete(const Words& words);
int RunCheck(const Words& words);
int RunSalvage(const Words& words);

// Says on stderr why, and returns `code`.
int Fail(const absl::Status& status, ExitCode code = kExitFailed);

// The store as its owner.
absl::StatusOr<std::unique_ptr<Store>> OpenAsOwner(const std::string& directory, bool create);

void Sleep(absl::Duration duration);

// All of standard input.
//   kUnavailable   it could not be read to its end.
absl::StatusOr<std::string> ReadStandardInput();

}  // namespace eddy::cli

#endif  // EDDY_SRC_CLI_COMMANDS_H_
