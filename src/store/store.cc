// Store: opens the engine, loads the views, and finds them by name.
#include "eddy/store.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "src/base/mutex.h"
#include "src/base/status.h"
#include "src/log/engine.h"
#include "src/log/intake.h"
#include "src/log/space.h"
#include "src/queue/catalog.h"
#include "src/queue/queue_impl.h"
#include "src/runtime/runner.h"
#include "src/store/transaction.h"
#include "src/stream/catalog.h"
#include "src/stream/stream.h"

namespace eddy {
namespace {

using queue::QueueImpl;
using stream::StreamImpl;

constexpr uint64_t kWriteBudgetMin = 1 << 20;
constexpr size_t kIntakeUnit = 32 << 10;
constexpr uint64_t kReserveBytesMax = uint64_t{1} << 30;

absl::Status CheckSpace(const StoreOptions& options) {
  if (options.at_quota > AtLimit::kDropByPriority) {
    return absl::InvalidArgumentError(
        absl::StrCat("at_quota ", static_cast<int>(options.at_quota), " is none that exists"));
  }
  const uint64_t reserve_min = log::ReserveBytesMin(options.intake_bytes);
  if (options.reserve_bytes != 0 &&
      (options.reserve_bytes < reserve_min || options.reserve_bytes > kReserveBytesMax)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "reserve_bytes ", options.reserve_bytes, ": 0, or with intake_bytes ",
        options.intake_bytes, " from ", reserve_min, " to ", kReserveBytesMax));
  }
  if (options.quota_bytes == 0) return absl::OkStatus();
  if (options.quota_bytes < log::kQuotaBytesMin ||
      log::PlanSpace(options).database_bytes == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "quota_bytes ", options.quota_bytes, ": at least ", log::kQuotaBytesMin,
        " is needed, and with intake_bytes ", options.intake_bytes, " and reserve_bytes ",
        options.reserve_bytes, " some 4 times both and 64 KiB"));
  }
  return absl::OkStatus();
}

absl::Status CheckOptions(std::string_view directory, const StoreOptions& options) {
  if (directory.empty()) return absl::InvalidArgumentError("the store's directory is empty");
  if (directory.find('\0') != std::string_view::npos) {
    return absl::InvalidArgumentError("the store's directory holds a zero byte");
  }
  if (options.flush_interval < absl::Milliseconds(1) ||
      options.flush_interval > absl::Hours(1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("flush_interval ", absl::FormatDuration(options.flush_interval).c_str(),
                     " is not within 1 ms to 1 h"));
  }
  if (options.intake_bytes < log::kIntakeBytesMin ||
      options.intake_bytes > log::kIntakeBytesMax || options.intake_bytes % kIntakeUnit != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("intake_bytes ", options.intake_bytes, " is not a multiple of ", kIntakeUnit,
                     " within ", log::kIntakeBytesMin, " to ", log::kIntakeBytesMax));
  }
  if (options.write_budget_bytes_per_day != 0 &&
      options.write_budget_bytes_per_day < kWriteBudgetMin) {
    return absl::InvalidArgumentError(
        absl::StrCat("write_budget_bytes_per_day ", options.write_budget_bytes_per_day, ": 0 or ",
                     kWriteBudgetMin, " and more are allowed"));
  }
  EDDY_RETURN_IF_ERROR(CheckSpace(options));
  if (options.commit_bytes == 0) return absl::InvalidArgumentError("commit_bytes is 0");
  if (options.on_damage > OnDamage::kRefuse) {
    return absl::InvalidArgumentError(
        absl::StrCat("on_damage ", static_cast<int>(options.on_damage), " is none that exists"));
  }
  if (options.append_timeout < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("append_timeout is negative");
  }
  return absl::OkStatus();
}

StoreOptions WithDefaults(StoreOptions options) {
  const Platform& system = DefaultPlatform();
  if (options.platform.clock == nullptr) options.platform.clock = system.clock;
  if (options.platform.random == nullptr) options.platform.random = system.random;
  if (options.platform.files == nullptr) options.platform.files = system.files;
  return options;
}

std::string WithoutTrailingSlashes(std::string_view directory) {
  while (directory.size() > 1 && directory.back() == '/') directory.remove_suffix(1);
  return std::string(directory);
}

// Of a damaged database: see the catalogs.
absl::Status MendCatalog(sql::Database& db) {
  EDDY_RETURN_IF_ERROR(stream::MendStreams(db));
  return queue::MendQueues(db);
}

// Of an open that has found something used up: whether that is the disk's space.
bool NeedsReserve(const std::string& directory, const StoreOptions& options) {
  Files* const files = options.platform.files;
  if (options.reserve_bytes == 0 || !files->Exists(directory + log::kReserveFile)) return false;
  const absl::StatusOr<FreeSpace> free = files->Free(directory);
  return free.ok() && free->bytes < options.reserve_bytes;
}

// Threads: safe. create_mu_ is held over a creation, so that two calls for one name
// cannot both create it; it is the first lock of the order. mu_ is held for a look
// only: a transaction takes it while it keeps commits, and so creations, waiting.
class StoreImpl final : public Store, private ViewFinder {
 public:
  StoreImpl() = default;

  // A database that cannot be read back is set aside only if a second look, with new
  // connections, says the same; and once: what fails then is no damage of the old.
  absl::Status Open(const std::string& directory, const StoreOptions& options) {
    log::EngineOptions engine;
    engine.directory = directory;
    engine.store = options;
    engine.mend = MendCatalog;
    engine.lock = &lock_;
    absl::Status opened = TryOpen(engine, options);
    if (absl::IsResourceExhausted(opened) && NeedsReserve(directory, options)) {
      engine.without_reserve = true;
      opened = TryOpen(engine, options);
    }
    if (!absl::IsDataLoss(opened) || options.on_damage == OnDamage::kRefuse) return opened;
    opened = TryOpen(engine, options);
    if (!absl::IsDataLoss(opened)) return opened;
    const absl::StatusOr<std::string> aside = log::Engine::SetAside(engine, opened);
    if (!aside.ok()) {
      return absl::Status(aside.status().code(),
                          absl::StrCat(directory, ": the database is damaged (", opened.message(),
                                       "), and could not be set aside: ",
                                       aside.status().message()));
    }
    return TryOpen(engine, options);
  }

  absl::Status TryOpen(const log::EngineOptions& how, const StoreOptions& options) {
    {
      std::vector<std::unique_ptr<StreamImpl>> streams;
      std::vector<std::unique_ptr<QueueImpl>> queues;
      const absl::Status loaded = Load(how, &streams, &queues);
      if (!loaded.ok()) {
        // The views outlive the engine, which knows them.
        const absl::Status cause = engine_ == nullptr ? loaded : engine_->TrueCause(loaded);
        engine_.reset();
        return cause;
      }
      MutexLock lock(&mu_);
      for (auto& s : streams) streams_.emplace(s->name(), std::move(s));
      for (auto& q : queues) queues_.emplace(q->name(), std::move(q));
    }
    opened_ = true;
    if (options.threads) {
      EDDY_ASSIGN_OR_RETURN(
          committer_,
          Runner::Start([this] { return engine_->RunOnce(); }, options.platform.clock));
      engine_->OnCommitDue([this] { committer_->Wake(); });
    }
    return absl::OkStatus();
  }

  absl::Status Load(const log::EngineOptions& how,
                    std::vector<std::unique_ptr<StreamImpl>>* streams,
                    std::vector<std::unique_ptr<QueueImpl>>* queues) {
    EDDY_ASSIGN_OR_RETURN(engine_, log::Engine::Open(how));
    EDDY_ASSIGN_OR_RETURN(*streams, StreamImpl::LoadAll(*engine_));
    EDDY_ASSIGN_OR_RETURN(*queues, QueueImpl::LoadAll(*engine_));
    EDDY_RETURN_IF_ERROR(engine_->FinishOpen());
    return QueueImpl::FinishLoad(*engine_, *queues);
  }

  ~StoreImpl() override {
    // First: closing commits too, and would wake what is no longer there.
    if (opened_) engine_->OnCommitDue(nullptr);
    committer_.reset();
    // What cannot be committed now stays in the intake for the next open.
    if (opened_) engine_->Close().IgnoreError();
  }

  absl::StatusOr<Stream*> CreateStream(std::string_view name,
                                       const StreamOptions& options) override {
    EDDY_RETURN_IF_ERROR(engine_->CheckMayCommit());
    MutexLock one_at_a_time(&create_mu_);
    if (OpenStream(name).ok()) {
      return absl::AlreadyExistsError(absl::StrCat("stream ", std::string(name), " exists"));
    }
    EDDY_ASSIGN_OR_RETURN(auto made, StreamImpl::Create(*engine_, name, options));
    Stream* const stream = made.get();
    MutexLock lock(&mu_);
    streams_.emplace(std::string(name), std::move(made));
    return stream;
  }

  absl::StatusOr<Stream*> OpenStream(std::string_view name) override {
    MutexLock lock(&mu_);
    const auto found = streams_.find(name);
    if (found != streams_.end()) return static_cast<Stream*>(found->second.get());
    return absl::NotFoundError(absl::StrCat("no stream ", std::string(name)));
  }

  std::vector<std::string> ListStreams() override {
    MutexLock lock(&mu_);
    return Names(streams_);
  }

  absl::StatusOr<Queue*> CreateQueue(std::string_view name,
                                     const QueueOptions& options) override {
    EDDY_RETURN_IF_ERROR(engine_->CheckMayCommit());
    MutexLock one_at_a_time(&create_mu_);
    if (QueueImpl* const found = FindQueue(name); found != nullptr) {
      EDDY_RETURN_IF_ERROR(found->SameOptions(options));
      return static_cast<Queue*>(found);
    }
    QueueImpl* dead_letter_queue = nullptr;
    if (!options.dead_letter_queue.empty()) {
      dead_letter_queue = FindQueue(options.dead_letter_queue);
      if (dead_letter_queue == nullptr) {
        return absl::NotFoundError(absl::StrCat("queue ", std::string(name),
                                                ": no dead-letter queue ",
                                                options.dead_letter_queue));
      }
    }
    EDDY_ASSIGN_OR_RETURN(auto made,
                          QueueImpl::Create(*engine_, name, options, dead_letter_queue));
    Queue* const queue = made.get();
    MutexLock lock(&mu_);
    queues_.emplace(std::string(name), std::move(made));
    return queue;
  }

  absl::StatusOr<Queue*> OpenQueue(std::string_view name) override {
    QueueImpl* const found = FindQueue(name);
    if (found != nullptr) return static_cast<Queue*>(found);
    return absl::NotFoundError(absl::StrCat("no queue ", std::string(name)));
  }

  std::vector<std::string> ListQueues() override {
    MutexLock lock(&mu_);
    return Names(queues_);
  }

  absl::Status Flush() override { return engine_->Flush(); }
  absl::Status Wait(const CommitToken& token, absl::Duration timeout) override {
    return engine_->WaitCommitted(token.log, token.end, timeout);
  }

  absl::StatusOr<TransactResult> Transact(
      const std::function<absl::Status(Transaction&)>& work) override {
    TransactionImpl transaction(this, work);
    EDDY_RETURN_IF_ERROR(engine_->Transact(&transaction));
    return transaction.TakeResult();
  }

  absl::StatusOr<std::vector<SqlRow>> Query(std::string_view statement,
                                            const std::vector<SqlValue>& parameters) override {
    absl::StatusOr<std::vector<SqlRow>> rows;
    EDDY_RETURN_IF_ERROR(engine_->ReadTables([&](Sql& sql) {
      rows = sql.Query(statement, parameters);
      return rows.status();
    }));
    return rows;
  }

  absl::Duration Pump() override { return engine_->RunOnce(); }
  StoreStats Stats() override { return engine_->Stats(); }

 private:
  template <typename Map>
  static std::vector<std::string> Names(const Map& views) {
    std::vector<std::string> names;
    for (const auto& [name, view] : views) names.push_back(name);
    return names;
  }

  QueueImpl* FindQueue(std::string_view name) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(&mu_);
    const auto found = queues_.find(name);
    return found == queues_.end() ? nullptr : found->second.get();
  }

  // ViewFinder. What is passed may be of another store, or of no store at all.
  StreamImpl* Find(const Stream& stream) override ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(&mu_);
    const auto found = streams_.find(stream.name());
    if (found == streams_.end() || found->second.get() != &stream) return nullptr;
    return found->second.get();
  }
  QueueImpl* Find(const Queue& queue) override ABSL_LOCKS_EXCLUDED(mu_) {
    QueueImpl* const found = FindQueue(queue.name());
    return found == &queue ? found : nullptr;
  }
  stream::CursorSet* Find(const Cursor& cursor) override ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(&mu_);
    for (const auto& [name, stream] : streams_) {
      if (stream->cursors().Owns(cursor)) return &stream->cursors();
    }
    return nullptr;
  }

  std::unique_ptr<FileLock> lock_;  // the store's; outlives the engine
  std::unique_ptr<log::Engine> engine_;
  bool opened_ = false;

  Mutex create_mu_ ABSL_ACQUIRED_BEFORE(mu_);
  Mutex mu_;
  std::map<std::string, std::unique_ptr<StreamImpl>, std::less<>> streams_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::unique_ptr<QueueImpl>, std::less<>> queues_ ABSL_GUARDED_BY(mu_);

  std::unique_ptr<Runner> committer_;  // stops before anything above it dies
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(std::string_view directory,
                                                   StoreOptions options) {
  EDDY_RETURN_IF_ERROR(CheckOptions(directory, options));
  auto store = std::make_unique<StoreImpl>();
  EDDY_RETURN_IF_ERROR(
      store->Open(WithoutTrailingSlashes(directory), WithDefaults(std::move(options))));
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace eddy
