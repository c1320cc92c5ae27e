// Gateway: the whole of eddy in one program. It captures the machine's own
// telemetry into a durable stream and events that need action (a threshold
// crossed) into a queue, while a forwarder carries the stream to Kinesis and
// the queue to SQS whenever the link is there. What is delivered is trimmed.
//
//   gateway DIR [--seconds N] [--drain N] [--no-forward]
//
//   --seconds N    stop after N seconds (else at SIGTERM or SIGINT)
//   --drain N      then stay at most N seconds more, until all is delivered
//   --no-forward   only keep; no region, endpoint or credentials needed
//
// Region, endpoints and credentials come from the standard environment
// variables (AWS_REGION, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...). What was
// captured and accepted stands in DIR/account, see account.h.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include <sys/stat.h>

#include "absl/time/clock.h"
#include "eddy/eddy.h"
#include "eddy/forwarder.h"
#include "examples/account.h"
#include "examples/telemetry.h"
#include "examples/threshold.h"

namespace {

constexpr char kStream[] = "telemetry";
constexpr char kQueue[] = "events";
constexpr char kRejected[] = "rejected";  // what the services will never accept
constexpr uint32_t kShardCount = 2;
constexpr absl::Duration kTrimPeriod = absl::Seconds(5);

volatile std::sig_atomic_t stop_requested = 0;
void RequestStop(int) { stop_requested = 1; }

struct Arguments {
  std::string directory;
  absl::Duration run_time = absl::InfiniteDuration();
  absl::Duration drain_time;
  bool forward = true;
};

bool Parse(int argc, char** argv, Arguments* arguments) {
  for (int i = 1; i < argc; ++i) {
    const bool has_value = i + 1 < argc;
    if (std::strcmp(argv[i], "--no-forward") == 0) {
      arguments->forward = false;
    } else if (std::strcmp(argv[i], "--seconds") == 0 && has_value) {
      arguments->run_time = absl::Seconds(std::atof(argv[++i]));
    } else if (std::strcmp(argv[i], "--drain") == 0 && has_value) {
      arguments->drain_time = absl::Seconds(std::atof(argv[++i]));
    } else if (argv[i][0] != '-' && arguments->directory.empty()) {
      arguments->directory = argv[i];
    } else {
      return false;
    }
  }
  return !arguments->directory.empty();
}

class Gateway {
 public:
  explicit Gateway(Arguments arguments) : arguments_(std::move(arguments)) {}

  absl::Status Open() {
    auto store = eddy::Store::Open(arguments_.directory);
    if (!store.ok()) return store.status();
    store_ = *std::move(store);

    auto stream = store_->OpenStream(kStream);
    if (absl::IsNotFound(stream.status())) {
      eddy::StreamOptions options;
      options.shard_count = kShardCount;
      stream = store_->CreateStream(kStream, options);
    }
    if (!stream.ok()) return stream.status();
    stream_ = *stream;

    // Creating a queue that exists returns it.
    const auto rejected = store_->CreateQueue(kRejected);
    if (!rejected.ok()) return rejected.status();
    const auto queue = store_->CreateQueue(kQueue);
    if (!queue.ok()) return queue.status();
    queue_ = *queue;

    const std::string directory = arguments_.directory + "/account";
    mkdir(directory.c_str(), 0750);  // Create() below says why it failed
    run_ = Account::NextRun(directory);
    auto readings = Account::Create(directory, run_, "stream");
    if (!readings.ok()) return readings.status();
    readings_ = *std::move(readings);
    auto events = Account::Create(directory, run_, "queue");
    if (!events.ok()) return events.status();
    events_ = *std::move(events);
    if (arguments_.forward) return StartForwarder();
    return absl::OkStatus();
  }

  void Run() {
    Telemetry telemetry;
    const absl::Time start = absl::Now();
    while (stop_requested == 0 && absl::Now() - start < arguments_.run_time) {
      telemetry.Sample(absl::Now(), [this](std::string_view sensor, std::string_view value) {
        Keep(sensor, value);
      });
      ShowProgress();
      TrimDelivered();
      absl::SleepFor(absl::Milliseconds(10));
    }
    const absl::Time deadline = absl::Now() + arguments_.drain_time;
    while (forwarder_ != nullptr && !Delivered() && absl::Now() < deadline) {
      ShowProgress();
      absl::SleepFor(absl::Milliseconds(50));
    }
    if (forwarder_ == nullptr || arguments_.drain_time == absl::ZeroDuration()) return;
    all_delivered_ = Delivered();
    std::printf(all_delivered_ ? "all is delivered\n" : "not all is delivered yet\n");
  }

  // Stops the forwarder, commits what was accepted, and says how it went.
  //   kDeadlineExceeded   --drain ended before all was delivered.
  absl::Status Close() {
    ShowProgress(/*now=*/true);
    forwarder_.reset();
    const absl::Status flushed = store_->Flush();
    if (!flushed.ok() || all_delivered_) return flushed;
    return absl::DeadlineExceededError("not all was delivered; it waits for the next run");
  }

 private:
  absl::Status StartForwarder() {
    eddy::ForwarderOptions options;
    options.retry_delay_max = absl::Seconds(2);  // a minute's demo; a device waits longer
    options.request_timeout = absl::Seconds(5);
    auto forwarder = eddy::Forwarder::Create(store_.get(), std::move(options));
    if (!forwarder.ok()) return forwarder.status();
    forwarder_ = *std::move(forwarder);
    eddy::RouteOptions route;
    route.dead_letter_queue = kRejected;
    absl::Status added = forwarder_->AddKinesisRoute(kStream, kStream, route);
    if (added.ok()) added = forwarder_->AddSqsRoute(kQueue, kQueue, route);
    if (!added.ok()) return added;
    // The stream's route's own place, to see how far it has come.
    const auto cursor = stream_->OpenCursor(forwarder_->Status().front().cursor);
    if (!cursor.ok()) return cursor.status();
    forwarded_ = *cursor;
    return absl::OkStatus();
  }

  // One reading: into the stream, and past its threshold, if it has one.
  void Keep(std::string_view sensor, std::string_view value) {
    const absl::Time now = absl::Now();
    const int64_t now_ms = absl::ToUnixMillis(now);
    const std::string name(sensor);
    const std::string number(value);
    char text[256];

    Account::Row* const row = readings_->Of(sensor);
    if (row == nullptr) return readings_->Refuse();  // more sensors than the account can judge
    std::snprintf(text, sizeof(text), R"({"sensor":"%s","run":%d,"n":%llu,"ms":%lld,"value":%s})",
                  name.c_str(), run_, static_cast<unsigned long long>(row->Capture()),
                  static_cast<long long>(now_ms), number.c_str());
    row->Settle(Ok(stream_->Put(sensor, text).status()));

    const auto crossing = thresholds_.Watch(name, std::atof(number.c_str()), now);
    if (!crossing.has_value()) return;
    Account::Row* const event = events_->Of(sensor);
    if (event == nullptr) return events_->Refuse();
    std::snprintf(text, sizeof(text),
                  R"({"sensor":"%s","run":%d,"n":%llu,"ms":%lld,"event":"%s","rate":%.1f,"limit":%.1f})",
                  name.c_str(), run_, static_cast<unsigned long long>(event->Capture()),
                  static_cast<long long>(now_ms), crossing->raised ? "raised" : "cleared",
                  crossing->rate, crossing->limit);
    event->Settle(Ok(queue_->Send(text).status()));  // returns when it is on the disk
  }

  // Whether the store has accepted it. kUnavailable: accepted, not yet committed.
  bool Ok(const absl::Status& status) {
    if (status.ok()) return true;
    std::fprintf(stderr, "gateway: %s\n", status.ToString().c_str());
    return absl::IsUnavailable(status);
  }

  // Nothing waits any more, neither behind the stream's cursor nor in the queue.
  bool Delivered() {
    eddy::GetRecordsOptions one;
    one.limit = 1;
    for (eddy::ShardId shard = 0; shard < stream_->shard_count(); ++shard) {
      const auto next = forwarded_->Read(shard, one);
      if (!next.ok() || !next->records.empty()) return false;
    }
    const eddy::QueueCounts counts = queue_->Describe().counts;
    return counts.visible + counts.in_flight + counts.delayed == 0;
  }

  // Gives the disk's space back, now and then: a stream keeps all until told.
  void TrimDelivered() {
    if (forwarder_ == nullptr || absl::Now() < next_trim_) return;
    next_trim_ = absl::Now() + kTrimPeriod;
    for (eddy::ShardId shard = 0; shard < stream_->shard_count(); ++shard) {
      Ok(stream_->Trim(shard, forwarded_->Position(shard)));
    }
  }

  // A line each second.
  void ShowProgress(bool now = false) {
    if (!now && absl::Now() < next_progress_) return;
    next_progress_ = absl::Now() + absl::Seconds(1);
    const Account::Totals readings = readings_->Sum();
    const Account::Totals events = events_->Sum();
    std::printf("run %d: accepted %llu readings, %llu events", run_,
                static_cast<unsigned long long>(readings.accepted),
                static_cast<unsigned long long>(events.accepted));
    if (forwarder_ != nullptr) {
      for (const eddy::RouteStatus& route : forwarder_->Status()) {
        static constexpr const char* kStates[] = {"online", "backing off", "offline"};
        std::printf("; %s %s, delivered %llu", route.name.c_str(),
                    kStates[static_cast<int>(route.link)],
                    static_cast<unsigned long long>(route.records_delivered));
      }
    }
    std::printf("\n");
    std::fflush(stdout);
  }

  const Arguments arguments_;
  int run_ = 0;
  std::unique_ptr<eddy::Store> store_;
  eddy::Stream* stream_ = nullptr;
  eddy::Queue* queue_ = nullptr;
  std::unique_ptr<Account> readings_;
  std::unique_ptr<Account> events_;
  std::unique_ptr<eddy::Forwarder> forwarder_;  // dies before the store
  eddy::Cursor* forwarded_ = nullptr;           // with a forwarder only
  Thresholds thresholds_;
  absl::Time next_trim_ = absl::InfinitePast();
  absl::Time next_progress_ = absl::InfinitePast();
  bool all_delivered_ = true;  // false: not within --drain
};

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!Parse(argc, argv, &arguments)) {
    std::fprintf(stderr, "usage: gateway DIR [--seconds N] [--drain N] [--no-forward]\n");
    return 2;
  }
  std::signal(SIGTERM, RequestStop);
  std::signal(SIGINT, RequestStop);
  Gateway gateway(arguments);
  absl::Status status = gateway.Open();
  if (status.ok()) {
    gateway.Run();
    status = gateway.Close();
  }
  if (status.ok()) return 0;
  std::fprintf(stderr, "gateway: %s\n", status.ToString().c_str());
  return 1;
}
