// A seed decides what happens to two queues, one the other's dead-letter queue;
// a plain model in memory says what must come out.
#include <algorithm>
#include <set>

#include "tests/fakes/fake_random.h"
#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

constexpr int kMaxReceives = 3;

struct ModelMessage {
  enum class Where { kQueue, kDead, kGone };
  int order = 0;
  std::string body;
  int receive_count = 0;
  Where where = Where::kQueue;
  absl::Duration due;       // not visible before
  std::string handle;       // the newest
  std::vector<std::string> old_handles;
};

class Model {
 public:
  explicit Model(uint64_t seed, Durability durability)
      : host_(seed), random_(seed * 7919), durability_(durability) {
    QueueOptions options;
    options.durability = durability;
    host_.Create("dead", options);
    options.dead_letter_queue = "dead";
    options.max_receive_count = kMaxReceives;
    host_.Create("jobs", options);
  }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      Step();
      if (i % 16 == 0) CheckCounts();
    }
    Drain();
  }

 private:
  using Where = ModelMessage::Where;
  Queue& queue() { return host_.Find("jobs"); }
  absl::Duration Now() { return host_.device.clock.SinceBoot(); }

  void Step() {
    switch (random_.Below(20)) {
      case 0: case 1: case 2: case 3: case 4: Send(); break;
      case 5: case 6: case 7: case 8: case 9: Receive(); break;
      case 10: case 11: case 12: case 13: Delete(); break;
      case 14: DeleteOld(); break;
      case 15: Change(); break;
      case 16: case 17:
        host_.device.clock.Advance(absl::Milliseconds(random_.Below(20000)));
        if (random_.OneIn(2)) host_.engine().RunOnce();
        break;
      case 18: if (random_.OneIn(2)) REQUIRE(host_.engine().Flush().ok()); break;
      default: if (random_.OneIn(4)) Crash(); break;
    }
  }

  void Send() {
    ModelMessage message;
    message.order = static_cast<int>(messages_.size());
    message.body = "m" + std::to_string(message.order);
    // Now and then one that does not fit the intake.
    if (random_.OneIn(40)) message.body.resize(30000, 'L');
    SendOptions options;
    if (random_.OneIn(4)) options.delay = absl::Milliseconds(random_.Below(30000));
    message.due = Now() + options.delay.value_or(absl::ZeroDuration());
    const auto sent = queue().Send(message.body, options);
    INFO(sent.status().ToString());
    REQUIRE(sent.ok());
    messages_.push_back(message);
  }

  bool IsVisible(const ModelMessage& message) {
    return message.where == Where::kQueue && message.due <= Now();
  }

  void Receive() {
    ReceiveOptions options;
    options.max_messages = 1 + static_cast<int>(random_.Below(10));
    options.visibility_timeout = absl::Milliseconds(random_.Below(60000));
    if (random_.OneIn(8)) options.visibility_timeout = absl::ZeroDuration();
    const auto received = queue().Receive(options);
    INFO(received.status().ToString());
    REQUIRE(received.ok());
    std::set<int> now;
    int last = -1;
    for (const Message& message : *received) {
      ModelMessage& model = Find(message.body);
      INFO(message.body);
      REQUIRE(IsVisible(model));
      REQUIRE(model.receive_count < kMaxReceives);
      REQUIRE(model.order > last);  // oldest first
      last = model.order;
      REQUIRE(message.receive_count == ++model.receive_count);
      model.due = Now() + *options.visibility_timeout;
      if (!model.handle.empty()) model.old_handles.push_back(model.handle);
      model.handle = message.receipt_handle;
      now.insert(model.order);
    }
    // Nothing older may have been passed over, except to the dead-letter queue.
    for (ModelMessage& model : messages_) {
      if (!IsVisible(model) || now.count(model.order) != 0) continue;
      if (model.receive_count >= kMaxReceives) {
        maybe_moved_.insert(model.order);
      } else {
        INFO(model.body << ", received " << model.receive_count << " times, due " << model.due
                        << ", now " << Now() << ": asked for " << options.max_messages
                        << ", got " << received->size());
        REQUIRE(!received->empty());
        REQUIRE(model.order > last);
      }
    }
  }

  void Delete() {
    ModelMessage* model = Any();
    if (model == nullptr || model->handle.empty()) return;
    if (model->where == Where::kQueue && maybe_moved_.count(model->order) != 0) return;
    REQUIRE(queue().Delete(model->handle, Durability::kDefault).ok());
    if (model->where == Where::kQueue) model->where = Where::kGone;
  }

  void DeleteOld() {
    ModelMessage* model = Any();
    if (model == nullptr || model->old_handles.empty()) return;
    // Always a success, never a deletion.
    REQUIRE(queue()
                .Delete(model->old_handles[random_.Below(model->old_handles.size())],
                        Durability::kDefault)
                .ok());
  }

  void Change() {
    ModelMessage* model = Any();
    if (model == nullptr || model->handle.empty() || maybe_moved_.count(model->order) != 0) {
      return;
    }
    const absl::Duration timeout = absl::Milliseconds(random_.Below(3) * random_.Below(40000));
    const absl::Status status =
        queue().ChangeVisibility(model->handle, timeout, Durability::kDefault);
    if (model->where != Where::kQueue) {
      REQUIRE(absl::IsAborted(status));
      return;
    }
    REQUIRE(status.ok());
    model->due = Now() + timeout;
  }

  void Crash() {
    // A clean end, a killed process, or a power cut, before which what is only
    // accepted is committed.
    const uint64_t kind = random_.Below(3);
    if (kind == 2 && durability_ != Durability::kPower) REQUIRE(host_.engine().Flush().ok());
    const absl::Duration before = Now();
    if (kind == 0) host_.Reopen();
    if (kind == 1) host_.Kill();
    if (kind == 2) host_.PowerCut(random_.Next());
    for (ModelMessage& model : messages_) {
      // Leases end; delays go on, after another boot by the wall clock, which
      // is as good here.
      const bool leased = model.receive_count > 0;
      model.due = leased ? absl::ZeroDuration() : model.due - before + Now();
      if (model.due < absl::ZeroDuration()) model.due = absl::ZeroDuration();
    }
  }

  void CheckCounts() {
    const QueueCounts counts = queue().Describe().counts;
    const QueueCounts dead = host_.Find("dead").Describe().counts;
    const auto live = static_cast<uint64_t>(
        std::count_if(messages_.begin(), messages_.end(), [](const ModelMessage& message) {
          return message.where == Where::kQueue;
        }));
    INFO("visible " << counts.visible << ", in flight " << counts.in_flight << ", delayed "
                    << counts.delayed << ", dead " << dead.visible);
    REQUIRE(counts.visible + counts.in_flight + counts.delayed + dead.visible == live);
    const auto in_flight = static_cast<uint64_t>(std::count_if(
        messages_.begin(), messages_.end(), [&](const ModelMessage& message) {
          return message.where == Where::kQueue && message.receive_count > 0 &&
                 message.due > Now();
        }));
    REQUIRE(counts.in_flight == in_flight);
  }

  void Drain() {
    for (;;) {
      host_.device.clock.Advance(absl::Hours(13));
      const auto messages = queue().Receive(Ten());
      REQUIRE(messages.ok());
      if (messages->empty()) break;
      for (const Message& message : *messages) {
        ModelMessage& model = Find(message.body);
        INFO(message.body);
        REQUIRE(model.where == Where::kQueue);
        REQUIRE(message.receive_count == model.receive_count + 1);
        model.where = Where::kGone;
        REQUIRE(queue().Delete(message.receipt_handle, Durability::kDefault).ok());
      }
    }
    Queue& dead = host_.Find("dead");
    for (;;) {
      const auto messages = dead.Receive(Ten());
      REQUIRE(messages.ok());
      if (messages->empty()) break;
      for (const Message& message : *messages) {
        ModelMessage& model = Find(message.body);
        INFO(message.body);
        REQUIRE(model.where == Where::kQueue);  // exactly once
        REQUIRE(model.receive_count == kMaxReceives);
        REQUIRE(message.receive_count == kMaxReceives + 1);
        model.where = Where::kGone;
        REQUIRE(dead.Delete(message.receipt_handle, Durability::kDefault).ok());
      }
    }
    for (const ModelMessage& model : messages_) {
      INFO(model.body);
      REQUIRE(model.where == Where::kGone);
    }
    REQUIRE(host_.Find("jobs").TouchedCount() == 0);
    REQUIRE(host_.Find("dead").TouchedCount() == 0);
  }

  static ReceiveOptions Ten() {
    ReceiveOptions options;
    options.max_messages = 10;
    return options;
  }

  ModelMessage* Any() {
    if (messages_.empty()) return nullptr;
    // Mostly one of the latest, as with real consumers.
    const size_t last =
        random_.OneIn(4) ? messages_.size() : std::min<size_t>(30, messages_.size());
    return &messages_[messages_.size() - 1 - random_.Below(last)];
  }

  ModelMessage& Find(const std::string& body) {
    const auto found =
        std::find_if(messages_.begin(), messages_.end(),
                     [&](const ModelMessage& message) { return message.body == body; });
    REQUIRE(found != messages_.end());
    return *found;
  }

  QueueHost host_;
  testing::FakeRandom random_;
  const Durability durability_;
  std::vector<ModelMessage> messages_;
  // Received too often, and a receive has been since: only the dead-letter
  // queue can tell, and looking there would touch it.
  std::set<int> maybe_moved_;
};

TEST_CASE("whatever happens at kProcess, and a power cut behind a flush, the queue is its model",
          "[queue][model][sweep]") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    Model(seed, Durability::kProcess).Run(400);
  }
}

TEST_CASE("whatever happens at kPower, power cuts too, the queue is its model",
          "[queue][model][sweep]") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    Model(seed, Durability::kPower).Run(300);
  }
}

}  // namespace
}  // namespace eddy::queue
