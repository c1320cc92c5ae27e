// eddy: looks into a store, and puts in and takes out by hand.
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>

#include "absl/strings/str_cat.h"
#include "src/cli/commands.h"

namespace eddy::cli {
namespace {

constexpr char kHelp[] =
    R"(eddy: looks into a store of eddy, and puts in and takes out by hand.

These read what is committed. They take no lock and never hold up the process
that owns the store, and work as well when none does:

  eddy status DIR [--json]
      streams, shards, cursors and queues, and how much waits for whom

  eddy stream tail DIR STREAM [--from oldest|latest|SEQUENCE] [--shard N]
                   [--limit N] [--follow] [--json]
      one record a line: shard, sequence number, arrival, key, data, with a tab
      between; tabs, line ends and bytes that are not UTF-8 as in C ("\n")

  eddy check DIR [--quiet] [--deep]
      the schema, every block's checksum and frames, the rows of streams, cursors
      and queues; prints what is damaged. SQLite's own check of the whole file is
      done when no process owns the store, or with --deep: beside an owner it
      keeps the WAL growing for as long as it takes

These need the store for themselves, and fail when another process owns it:

  eddy stream put DIR STREAM KEY [DATA|-] [--lines] [--create] [--shards N]
      puts DATA, or standard input, as one record (--lines: each line as one);
      prints shard and sequence number of each. OK means: it survives a power cut

  eddy queue send DIR QUEUE [BODY|-] [--delay SECONDS] [--create]
      sends one message; prints its id

  eddy queue receive DIR QUEUE [--max N] [--wait SECONDS] [--delete] [--json]
      one message a line: receipt handle, receive count, body. With --delete each
      is deleted once it is printed. Without, its receive count is raised, and
      it is visible again when the command ends, since leases end with a process

  eddy queue delete DIR QUEUE RECEIPT...
      ends messages by their receipt handles

  eddy salvage DIR
      if the database is damaged, sets it aside as DIR/damaged-<n>, as every open of a
      store does, and waits until what is intact of it is in the new one
  eddy salvage DIR --into NEWDIR
      leaves DIR as it is, a store or one of its damaged-<n>, and writes what is intact
      of its database into a new store in NEWDIR. What a process has accepted and not
      committed stays in DIR

Exit codes, for init scripts:
  0  done; check: all is well; salvage: nothing was lost
  1  it failed; check: something is damaged, perhaps beyond opening; salvage: done, but
     something was lost
  2  wrong arguments, or the store cannot be opened: it is none, another process has it,
     or the disk fails; salvage: it could not be done
  3  queue receive: there was no message

With --create a missing store, stream or queue is made with default options.
eddy --version prints the version.
)";

struct Command {
  const char* noun;
  const char* verb;  // null: the noun stands alone
  int (*run)(const Words& words);
};

constexpr Command kCommands[] = {
    {"status", nullptr, RunStatus},
    {"check", nullptr, RunCheck},
    {"salvage", nullptr, RunSalvage},
    {"stream", "put", RunStreamPut},
    {"stream", "tail", RunStreamTail},
    {"queue", "send", RunQueueSend},
    {"queue", "receive", RunQueueReceive},
    {"queue", "delete", RunQueueDelete},
};

int Run(const Words& words) {
  if (words.empty()) {
    std::fputs(kHelp, stderr);
    return kExitUsage;
  }
  if (words[0] == "--version") {
    std::puts("eddy " EDDY_VERSION);
    return kExitOk;
  }
  for (const std::string& word : words) {
    if (word == "--help" || word == "-h" || (word == "help" && &word == &words[0])) {
      std::fputs(kHelp, stdout);
      return kExitOk;
    }
    if (word == "--") break;
  }
  for (const Command& command : kCommands) {
    if (words[0] != command.noun) continue;
    if (command.verb == nullptr) return command.run(Words(words.begin() + 1, words.end()));
    if (words.size() > 1 && words[1] == command.verb) {
      return command.run(Words(words.begin() + 2, words.end()));
    }
  }
  return Fail(absl::InvalidArgumentError(
                  absl::StrCat("no command \"", words[0], words.size() > 1 ? " " : "",
                               words.size() > 1 ? words[1] : "", "\"; see eddy --help")),
              kExitUsage);
}

}  // namespace

int Fail(const absl::Status& status, ExitCode code) {
  std::fprintf(stderr, "eddy: %s\n", std::string(status.message()).c_str());
  return code;
}

absl::StatusOr<std::unique_ptr<Store>> OpenAsOwner(const std::string& directory, bool create) {
  StoreOptions options;
  options.create_if_missing = create;
  return Store::Open(directory, options);
}

void Sleep(absl::Duration duration) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock<std::mutex> lock(mutex);
  DefaultPlatform().clock->Wait(lock, never, duration);
}

absl::StatusOr<std::string> ReadStandardInput() {
  std::string text;
  char piece[65536];
  for (size_t bytes; (bytes = std::fread(piece, 1, sizeof(piece), stdin)) > 0;) {
    text.append(piece, bytes);
  }
  if (std::ferror(stdin) != 0) {
    return absl::UnavailableError(absl::StrCat("standard input: ", std::strerror(errno)));
  }
  return text;
}

}  // namespace eddy::cli

int main(int argc, char** argv) {
  const int code = eddy::cli::Run(eddy::cli::Words(argv + 1, argv + argc));
  // A full disk behind a redirection is found out here at the latest.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    std::fprintf(stderr, "eddy: standard output: %s\n", std::strerror(errno));
    return code == 0 ? eddy::cli::kExitFailed : code;
  }
  return code;
}
