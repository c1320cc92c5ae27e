// The Forwarder: checks what it is given, builds routes, and lets them step: each on
// a thread of its own, or the most urgent one at each RunOnce.
#include "eddy/forwarder.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "src/aws/credentials.h"
#include "src/aws/endpoint.h"
#include "src/base/mutex.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/forward/credentials_cache.h"
#include "src/forward/kinesis_route.h"
#include "src/forward/options.h"
#include "src/forward/request_sender.h"
#include "src/forward/route.h"
#include "src/forward/route_cursor.h"
#include "src/forward/route_state.h"
#include "src/forward/sqs_route.h"
#include "src/runtime/runner.h"

namespace eddy {
namespace forward {
namespace {

aws::RetryPolicy RetryPolicyOf(const ForwarderOptions& options) {
  aws::RetryPolicy policy;
  policy.base = options.retry_delay_base;
  policy.throttling_base = std::max(options.retry_delay_base, policy.throttling_base);
  policy.cap = options.retry_delay_max;
  return policy;
}

class ForwarderImpl : public Forwarder {
 public:
  ForwarderImpl(Store* store, ForwarderOptions options,
                std::unique_ptr<CredentialsProvider> own_credentials,
                std::unique_ptr<HttpTransport> own_transport)
      : store_(store),
        options_(std::move(options)),
        own_credentials_(std::move(own_credentials)),
        own_transport_(std::move(own_transport)),
        credentials_(options_.credentials, options_.platform.clock, options_.platform.random) {}
  ~ForwarderImpl() override;

  absl::Status AddKinesisRoute(std::string_view stream, std::string_view target_stream,
                               const RouteOptions& options) override;
  absl::Status AddSqsRoute(std::string_view queue, std::string_view target_queue,
                           const RouteOptions& options) override;
  absl::Duration RunOnce() override;
  void Wake() override;
  std::vector<RouteStatus> Status() override;

 private:
  // A route and when it is due. Slots are never removed, so a pointer to one stays
  // good without the lock.
  struct Slot {
    std::string name;
    std::unique_ptr<Route> route;
    absl::Duration due;        // guarded by mu_; on the clock that counts suspend
    bool is_stepping = false;  // guarded by mu_; at most one caller of Step
    bool is_woken = false;     // guarded by mu_; Wake came during the step
    std::unique_ptr<Runner> runner;  // last: ends before the route does
  };

  RouteParts Parts(const std::string& name, aws::Endpoint endpoint, Queue* dead_letters,
                   const RouteOptions& options);
  absl::Status CheckNew(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status AddSlot(std::string name, std::unique_ptr<Route> route);
  absl::StatusOr<Queue*> OpenDeadLetters(const RouteOptions& options);
  absl::Duration StepSlot(Slot* slot);

  Store* const store_;
  const ForwarderOptions options_;  // completed: no null member, no empty default
  const std::unique_ptr<CredentialsProvider> own_credentials_;
  const std::unique_ptr<HttpTransport> own_transport_;
  CredentialsCache credentials_;
  aws::SigningKeys signing_keys_;
  std::atomic<bool> stopping_{false};  // written by the destructor, read by each step

  Mutex mu_;
  std::vector<std::unique_ptr<Slot>> slots_ ABSL_GUARDED_BY(mu_);
};

ForwarderImpl::~ForwarderImpl() {
  // Told to all before the first is waited for: the requests under way end together.
  stopping_.store(true);
  std::vector<std::unique_ptr<Slot>> slots;
  {
    MutexLock lock(&mu_);
    slots.swap(slots_);
  }
  slots.clear();
}

absl::Status ForwarderImpl::AddKinesisRoute(std::string_view stream,
                                            std::string_view target_stream,
                                            const RouteOptions& options) {
  EDDY_RETURN_IF_ERROR(CheckKinesisRoute(target_stream, options));
  const std::string name =
      absl::StrCat(AbslView(stream), " -> kinesis:", AbslView(target_stream));
  EDDY_ASSIGN_OR_RETURN(aws::Endpoint endpoint,
                        EndpointOf("kinesis", options_.kinesis_endpoint, options_.region));
  EDDY_ASSIGN_OR_RETURN(Stream * source, store_->OpenStream(stream));
  EDDY_ASSIGN_OR_RETURN(Queue * dead_letters, OpenDeadLetters(options));
  EDDY_ASSIGN_OR_RETURN(Cursor * cursor,
                        source->OpenCursor(RouteCursorName(endpoint, target_stream)));
  EDDY_ASSIGN_OR_RETURN(CursorLease lease, CursorLease::Take(cursor));
  RouteParts parts = Parts(name, std::move(endpoint), dead_letters, options);
  parts.state->Update([cursor](RouteStatus& s) { s.cursor = cursor->name(); });
  return AddSlot(name, NewKinesisRoute(std::move(parts), source, std::move(lease),
                                       std::string(target_stream)));
}

absl::Status ForwarderImpl::AddSqsRoute(std::string_view queue, std::string_view target_queue,
                                        const RouteOptions& options) {
  EDDY_RETURN_IF_ERROR(CheckSqsRoute(queue, target_queue, options));
  const std::string name = absl::StrCat(AbslView(queue), " -> sqs:", AbslView(target_queue));
  EDDY_ASSIGN_OR_RETURN(aws::Endpoint endpoint,
                        EndpointOf("sqs", options_.sqs_endpoint, options_.region));
  EDDY_ASSIGN_OR_RETURN(Queue * source, store_->OpenQueue(queue));
  EDDY_ASSIGN_OR_RETURN(Queue * dead_letters, OpenDeadLetters(options));
  return AddSlot(name, NewSqsRoute(Parts(name, std::move(endpoint), dead_letters, options),
                                   source, std::string(target_queue)));
}

RouteParts ForwarderImpl::Parts(const std::string& name, aws::Endpoint endpoint,
                                Queue* dead_letters, const RouteOptions& options) {
  RouteParts parts;
  parts.state = std::make_unique<RouteState>(
      name, RetryPolicyOf(options_), options_.platform.clock, options_.platform.random,
      options_.on_link_change);
  parts.sender = std::make_unique<RequestSender>(std::move(endpoint), options_.request_timeout,
                                                 options_.transport, &credentials_,
                                                 &signing_keys_, options_.platform.clock);
  parts.clock = options_.platform.clock;
  parts.store = store_;
  parts.dead_letters = dead_letters;
  parts.options = options;
  parts.pause_when_stuck = options_.retry_delay_max;
  return parts;
}

absl::Status ForwarderImpl::CheckNew(const std::string& name) {
  for (const std::unique_ptr<Slot>& slot : slots_) {
    if (slot->name == name) {
      return absl::AlreadyExistsError(absl::StrCat("the route ", name, " exists"));
    }
  }
  return absl::OkStatus();
}

absl::Status ForwarderImpl::AddSlot(std::string name, std::unique_ptr<Route> route) {
  auto owned = std::make_unique<Slot>();
  Slot* const slot = owned.get();
  slot->name = std::move(name);
  slot->route = std::move(route);
  MutexLock lock(&mu_);
  EDDY_RETURN_IF_ERROR(CheckNew(slot->name));
  slots_.push_back(std::move(owned));
  if (!options_.threads) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<Runner>> runner =
      Runner::Start([this, slot] { return StepSlot(slot); }, options_.platform.clock);
  if (!runner.ok()) {
    slots_.pop_back();
    return runner.status();
  }
  slot->runner = *std::move(runner);
  return absl::OkStatus();
}

absl::StatusOr<Queue*> ForwarderImpl::OpenDeadLetters(const RouteOptions& options) {
  if (options.dead_letter_queue.empty()) return nullptr;
  return store_->OpenQueue(options.dead_letter_queue);
}

absl::Duration ForwarderImpl::RunOnce() {
  if (options_.threads) return absl::InfiniteDuration();
  const absl::Duration now = options_.platform.clock->SinceBoot();
  Slot* urgent = nullptr;
  {
    MutexLock lock(&mu_);
    for (const std::unique_ptr<Slot>& slot : slots_) {
      if (slot->is_stepping || slot->due > now) continue;
      if (urgent == nullptr || slot->due < urgent->due) urgent = slot.get();
    }
  }
  if (urgent != nullptr) StepSlot(urgent);

  const absl::Duration then = options_.platform.clock->SinceBoot();
  absl::Duration next = absl::InfiniteDuration();
  MutexLock lock(&mu_);
  for (const std::unique_ptr<Slot>& slot : slots_) next = std::min(next, slot->due - then);
  return std::max(next, absl::ZeroDuration());
}

absl::Duration ForwarderImpl::StepSlot(Slot* slot) {
  if (stopping_.load()) return absl::InfiniteDuration();
  {
    MutexLock lock(&mu_);
    // Another thread has taken it between the choice and here.
    if (slot->is_stepping) return absl::ZeroDuration();
    slot->is_stepping = true;
    slot->is_woken = false;
  }
  absl::Duration pause = slot->route->Step();
  const absl::Duration now = options_.platform.clock->SinceBoot();
  MutexLock lock(&mu_);
  if (slot->is_woken) {
    // The step may have set its back-off after Wake had lifted the last one.
    slot->route->TryNow();
    pause = absl::ZeroDuration();
  }
  slot->is_stepping = false;
  slot->due = now + pause;
  return pause;
}

void ForwarderImpl::Wake() {
  const absl::Duration now = options_.platform.clock->SinceBoot();
  MutexLock lock(&mu_);
  for (const std::unique_ptr<Slot>& slot : slots_) {
    slot->route->TryNow();
    slot->due = now;
    slot->is_woken = true;
    if (slot->runner != nullptr) slot->runner->Wake();
  }
}

std::vector<RouteStatus> ForwarderImpl::Status() {
  const absl::Duration now = options_.platform.clock->SinceBoot();
  MutexLock lock(&mu_);
  std::vector<RouteStatus> all;
  all.reserve(slots_.size());
  for (const std::unique_ptr<Slot>& slot : slots_) {
    all.push_back(slot->route->Status());
    all.back().next_attempt =
        slot->is_stepping ? absl::ZeroDuration()
                          : std::max(slot->due - now, absl::ZeroDuration());
  }
  return all;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Forwarder>> Create(Store* store, ForwarderOptions options) {
  std::unique_ptr<CredentialsProvider> credentials;
  std::unique_ptr<HttpTransport> transport;
  EDDY_RETURN_IF_ERROR(CompleteOptions(&options));
  if (options.credentials == nullptr) {
    credentials = NewEnvironmentCredentials();
    options.credentials = credentials.get();
  }
  if (options.transport == nullptr) {
    CurlTransportOptions curl;
    curl.ca_file = options.ca_file;
    EDDY_ASSIGN_OR_RETURN(transport, NewCurlTransport(curl));
    options.transport = transport.get();
  }
  return std::make_unique<ForwarderImpl>(store, std::move(options), std::move(credentials),
                                         std::move(transport));
}

}  // namespace forward

absl::StatusOr<std::unique_ptr<Forwarder>> Forwarder::Create(Store* store,
                                                             ForwarderOptions options) {
  return forward::Create(store, std::move(options));
}

}  // namespace eddy
