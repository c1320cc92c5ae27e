// What views replay from the journal: a queue's changes, which go into its
// delivery state, and a cursor's move.
#include <set>

#include "src/queue/delivery.h"
#include "src/queue/delivery_journal.h"
#include "src/stream/cursor_journal.h"
#include "tests/fuzz/fuzz.h"

namespace eddy::fuzz {
namespace {

void Changes(std::string_view op) {
  const absl::StatusOr<std::vector<queue::DeliveryChange>> changes = queue::DecodeChanges(op);
  if (!changes.ok()) {
    Hold(absl::IsDataLoss(changes.status()), "another code than kDataLoss");
    return;
  }
  std::string again;
  for (const queue::DeliveryChange& change : *changes) queue::AppendChange(change, &again);
  Hold(again == op, "changes written again are others");

  // As QueueImpl::Replay does, twice: that must do no harm.
  queue::DeliveryState state(/*head=*/0);
  std::set<uint64_t> gone;
  for (int time = 0; time < 2; ++time) {
    for (const queue::DeliveryChange& change : *changes) {
      state.Restore(change, /*committed=*/false, absl::Hours(1));
      if (change.gone) gone.insert(change.position);
      Hold(state.head() <= state.scan(), "the head is beyond the scan");
    }
  }
  for (const uint64_t position : gone) {
    Hold(state.IsGone(position) && state.Find(position) == nullptr, "a message came back");
  }
  Hold(state.entry_count() + state.gone_count() <= changes->size(), "entries without a change");
  queue::DeliverySnapshot snapshot;
  if (state.TakeChanges(&snapshot)) state.Committed(snapshot);
  Hold(state.changed_count() == 0, "changes are left after a commit");
}

void Move(std::string_view op) {
  const absl::StatusOr<stream::CursorMove> move = stream::DecodeMove(op);
  if (!move.ok()) {
    Hold(absl::IsDataLoss(move.status()), "another code than kDataLoss");
    return;
  }
  Hold(stream::EncodeMove(*move) == op, "a move written again is another one");
}

}  // namespace

std::vector<std::string> Seeds() {
  queue::DeliveryChange received{64, 2, 1'700'000'000'000, false};
  queue::DeliveryChange gone{128, 0, 0, true};
  std::string one, both;
  queue::AppendChange(gone, &one);
  queue::AppendChange(received, &both);
  queue::AppendChange(gone, &both);
  received.position = gone.position;
  queue::AppendChange(received, &both);
  return {one, both, stream::EncodeMove({"cursor", 3, 4096})};
}

}  // namespace eddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<char> bytes(data, data + size);
  const std::string_view op(bytes.data(), bytes.size());
  eddy::fuzz::Changes(op);
  eddy::fuzz::Move(op);
  return 0;
}
