// eddy salvage: what is intact of a damaged database, in the same store or in a new one.
#include <cinttypes>
#include <cstdio>
#include <functional>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/cli/commands.h"
#include "src/cli/read_only_store.h"
#include "src/log/engine.h"
#include "src/log/meta.h"
#include "src/queue/catalog.h"
#include "src/stream/catalog.h"

namespace eddy::cli {
namespace {

// So many pauses in a row, of a second each, and nothing will change by itself.
constexpr int kPausesMax = 30;

// Does the background work until the salvage is done.
absl::StatusOr<SalvageStats> Finish(const std::function<absl::Duration()>& work,
                                    const std::function<SalvageStats()>& look) {
  for (int pauses = 0; pauses < kPausesMax;) {
    const SalvageStats stats = look();
    if (stats.state == SalvageState::kNone || stats.state == SalvageState::kDone) return stats;
    pauses = stats.state == SalvageState::kPaused ? pauses + 1 : 0;
    Sleep(work());
  }
  return absl::UnavailableError(
      absl::StrCat("it does not go on: ", look().cause.ToString()));
}

int Tell(const std::string& where, const SalvageStats& stats) {
  if (stats.state == SalvageState::kNone) {
    std::printf("%s: the database is not damaged; nothing to salvage\n", where.c_str());
    return kExitOk;
  }
  std::printf("%s: salvaged %" PRIu64 " records and messages in %" PRIu64 " blocks; %" PRIu64
              " lost; %" PRIu64 " blocks of no known stream or queue stay in the old database\n",
              where.c_str(), stats.records, stats.blocks, stats.records_lost,
              stats.blocks_orphaned);
  return stats.records_lost == 0 && stats.blocks_orphaned == 0 ? kExitOk : kExitFailed;
}

// The open looks at all of the database then, however large it is.
absl::Status MakeSuspect(const std::string& directory) {
  Files* const files = DefaultPlatform().files;
  if (!files->Exists(directory + log::kDatabaseFile)) return absl::OkStatus();
  return files->MapShared(directory + log::kSuspectFile, 1).status();
}

absl::StatusOr<SalvageStats> SalvageHere(const std::string& directory) {
  EDDY_RETURN_IF_ERROR(MakeSuspect(directory));
  StoreOptions options;
  options.create_if_missing = false;
  options.threads = false;
  EDDY_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::Open(directory, options));
  return Finish([&] { return store->Pump(); }, [&] { return store->Stats().salvage; });
}

absl::StatusOr<SalvageStats> SalvageInto(const std::string& from, const std::string& to) {
  if (const int pid = ReadOnlyStore::OwnerPidOf(from); pid != 0) {
    return absl::FailedPreconditionError(absl::StrCat(from, " is in use by process ", pid));
  }
  Files* const files = DefaultPlatform().files;
  if (!files->Exists(from + "/eddy.db") && !files->Exists(from + "/eddy.db-wal")) {
    return absl::NotFoundError(absl::StrCat("no store in ", from));
  }
  log::EngineOptions options;
  options.directory = to;
  options.store.threads = false;
  options.store.platform = DefaultPlatform();
  options.salvage_from = from;
  options.mend = [](sql::Database& db) -> absl::Status {
    EDDY_RETURN_IF_ERROR(stream::MendStreams(db));
    return queue::MendQueues(db);
  };
  EDDY_ASSIGN_OR_RETURN(const std::unique_ptr<log::Engine> engine, log::Engine::Open(options));
  EDDY_RETURN_IF_ERROR(engine->FinishOpen());
  EDDY_ASSIGN_OR_RETURN(
      const SalvageStats stats,
      Finish([&] { return engine->RunOnce(); }, [&] { return engine->Stats().salvage; }));
  EDDY_RETURN_IF_ERROR(engine->Close());
  return stats;
}

}  // namespace

int RunSalvage(const Words& words) {
  ArgumentRules rules;
  rules.options = {"--into"};
  rules.positional_min = rules.positional_max = 1;
  const absl::StatusOr<Arguments> arguments = Arguments::Parse(words, rules);
  if (!arguments.ok()) return Fail(arguments.status(), kExitUsage);
  const std::string& directory = (*arguments)[0];
  const auto into = arguments->Value("--into");
  const absl::StatusOr<SalvageStats> stats =
      into ? SalvageInto(directory, *into) : SalvageHere(directory);
  if (!stats.ok()) return Fail(stats.status(), kExitUsage);
  return Tell(into ? *into : directory, *stats);
}

}  // namespace eddy::cli
