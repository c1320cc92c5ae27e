// Creating a queue and opening those that are there.
//
// After an open the scan goes on where it was committed. Touched messages have
// rows, or come out of the journal, and are stepped over or found visible again; a
// message above the scan without either was never received, or its receive was
// lost to a power cut (kProcess): it counts as fresh.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/queue/catalog.h"
#include "src/queue/message_rules.h"
#include "src/queue/queue_impl.h"

namespace eddy::queue {

absl::StatusOr<std::unique_ptr<QueueImpl>> QueueImpl::Create(log::Engine& engine,
                                                             std::string_view name,
                                                             const QueueOptions& options,
                                                             QueueImpl* dead_letter_queue) {
  EDDY_RETURN_IF_ERROR(CheckQueueName(name));
  EDDY_RETURN_IF_ERROR(CheckQueueOptions(options));
  if (!options.dead_letter_queue.empty() && dead_letter_queue == nullptr) {
    return absl::NotFoundError(absl::StrCat("dead_letter_queue ", options.dead_letter_queue,
                                            " of queue ", AbslView(name), " does not exist"));
  }
  QueueRow row;
  row.name = std::string(name);
  row.created_ms = absl::ToUnixMillis(engine.platform().clock->WallNow());
  row.options = WithDefaults(options);
  if (dead_letter_queue != nullptr) {
    EDDY_CHECK(dead_letter_queue->name() == options.dead_letter_queue);
    row.dead_letter_queue = dead_letter_queue->row_.id;
  }
  log::Log* log = nullptr;
  EDDY_RETURN_IF_ERROR(engine.WithDatabase([&](sql::Database& db) -> absl::Status {
    EDDY_ASSIGN_OR_RETURN(row.id, AddView(db));
    EDDY_ASSIGN_OR_RETURN(log, engine.AddLog(db));
    row.log = log->id();
    return InsertQueue(db, row);
  }));
  std::unique_ptr<QueueImpl> queue(new QueueImpl(engine, std::move(row), log, dead_letter_queue));
  queue->Join();
  return queue;
}

absl::StatusOr<std::vector<std::unique_ptr<QueueImpl>>> QueueImpl::LoadAll(
    log::Engine& engine) {
  std::vector<QueueRow> rows;
  std::vector<std::vector<DeliveryChange>> deliveries;
  EDDY_RETURN_IF_ERROR(engine.WithDatabase([&](sql::Database& db) -> absl::Status {
    EDDY_ASSIGN_OR_RETURN(rows, SelectQueues(db));
    for (const QueueRow& row : rows) {
      EDDY_ASSIGN_OR_RETURN(deliveries.emplace_back(), SelectDeliveries(db, row.id));
    }
    return absl::OkStatus();
  }));

  std::vector<std::unique_ptr<QueueImpl>> queues;
  absl::flat_hash_map<uint32_t, QueueImpl*> by_id;
  for (size_t i = 0; i < rows.size(); ++i) {
    QueueRow& row = rows[i];
    QueueImpl* dead_letter_queue = nullptr;
    if (row.dead_letter_queue != 0) {
      const auto found = by_id.find(row.dead_letter_queue);
      if (found == by_id.end()) {
        return absl::DataLossError(absl::StrCat("queue ", row.name, ": its dead-letter queue ",
                                                row.dead_letter_queue, " is missing"));
      }
      dead_letter_queue = found->second;
      row.options.dead_letter_queue = dead_letter_queue->name();
    }
    const absl::StatusOr<log::Log*> log = engine.OpenLog(row.log);
    if (!log.ok()) {
      return absl::DataLossError(
          absl::StrCat("queue ", row.name, ": ", log.status().ToString()));
    }
    // Nothing was ever given out above; what is sent next would lie below.
    const uint64_t highest = std::max((*log)->tail(), (*log)->reach());
    std::vector<DeliveryChange>& touched = deliveries[i];
    // But for what a transaction has ended of frames that its round left for the next one
    // (Log::Bind), after a power cut: they are gone, and their positions not given again.
    while (!touched.empty() && touched.back().gone && touched.back().position >= highest) {
      touched.pop_back();
    }
    const uint64_t seen = std::max(row.scan, touched.empty() ? 0 : touched.back().position);
    if (seen > highest) {
      return absl::DataLossError(absl::StrCat("queue ", row.name, ": it has seen position ", seen,
                                              " of its log, which has reached ", highest));
    }
    const uint32_t id = row.id;
    std::unique_ptr<QueueImpl> queue(
        new QueueImpl(engine, std::move(row), *log, dead_letter_queue));
    {
      MutexLock lock(&queue->mu_);
      for (const DeliveryChange& change : touched) {
        queue->state_.Restore(change, /*committed=*/true, queue->clock_->SinceBoot());
      }
      queue->state_.Loaded(0);
    }
    by_id[id] = queue.get();
    queue->Join();
    queues.push_back(std::move(queue));
  }
  for (const auto& queue : queues) EDDY_RETURN_IF_ERROR(queue->MendMoves(queues));
  return queues;
}

void QueueImpl::Join() {
  engine_.AddParticipant(row_.id, this);
  log_->SetDiscard([this] {
    MutexLock lock(&mu_);
    return state_.head();
  });
  log_->OnSalvaged(
      [this] {
        MutexLock lock(&mu_);
        return state_.scan();
      },
      [this](uint64_t frames) {
        untouched_.fetch_add(static_cast<int64_t>(frames), std::memory_order_relaxed);
      });
}

absl::Status QueueImpl::FinishLoad(log::Engine&,
                                   const std::vector<std::unique_ptr<QueueImpl>>& queues) {
  for (const auto& queue : queues) {
    EDDY_RETURN_IF_ERROR(queue->CountUntouched());
    uint64_t committed_head;
    {
      MutexLock lock(&queue->mu_);
      committed_head = queue->state_.committed_head();
    }
    // The last owner may have died between the commit of its head and the trim.
    EDDY_RETURN_IF_ERROR(queue->log_->Trim(committed_head));
  }
  return absl::OkStatus();
}

// Whole blocks by their rows, and by reading only what lies between the scan
// and the first of them: at most one block. A delayed message counts as untouched
// until a receive comes by it: only its frame says that it is delayed, and to
// read them all would make an open as long as the backlog.
absl::Status QueueImpl::CountUntouched() {
  uint64_t scan;
  uint64_t touched;
  {
    MutexLock lock(&mu_);
    scan = state_.scan();
    touched = state_.ahead_count();
  }
  BlockFrames blocks;
  EDDY_RETURN_IF_ERROR(engine_.WithDatabase([&](sql::Database& db) -> absl::Status {
    EDDY_ASSIGN_OR_RETURN(blocks, CountBlockFrames(db, log_->id(), scan));
    return absl::OkStatus();
  }));
  uint64_t count = blocks.count;
  for (uint64_t at = scan; at < blocks.first;) {
    const absl::StatusOr<log::ReadResult> result = log_->Read(at, {});
    if (absl::IsUnavailable(result.status())) break;  // still to be salvaged
    EDDY_RETURN_IF_ERROR(result.status());
    if (result->frames.empty()) break;
    for (const log::FrameView& frame : result->frames) count += frame.position < blocks.first;
    at = result->next;
  }
  untouched_.store(static_cast<int64_t>(count) - static_cast<int64_t>(touched),
                   std::memory_order_relaxed);
  return absl::OkStatus();
}

}  // namespace eddy::queue
