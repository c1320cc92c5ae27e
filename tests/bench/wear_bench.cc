// Bytes written to the disk a byte of payload (data and key: 200 B + 9 B), at 1 000
// records a second and the default options. Time is a clock that the bench moves by
// 10 ms a step; each step puts ten records and lets the store do what is due, so
// that ten minutes pass in seconds and the writes are the real ones.
//
// Two counts: what SQLite writes, counted in the VFS to the end, with the WAL
// checkpoint of closing; and what the kernel counts as dirtied by this process. For
// that the intake is written back each 30 seconds of the clock, as the kernel does
// with pages dirty for so long, and so its pages count anew each time.
//
// With delivery, a reader reads every 100 ms what has come, acknowledges it 100 ms
// later (the link's round trip) and trims what it has acknowledged.
#include <filesystem>
#include <memory>
#include <string>

#include "tests/bench/bench.h"
#include "tests/bench/disk.h"
#include "tests/fakes/fake_clock.h"

namespace eddy::bench {
namespace {

constexpr absl::Duration kStep = absl::Milliseconds(10);
constexpr int kRecordsPerStep = 10;
constexpr int kStepsPerRead = 10;
constexpr int kStepsPerWriteBack = 3000;
constexpr int kSteps = 60000;  // ten minutes
constexpr size_t kDataBytes = 200;

struct Traffic {
  bool deliver = false;
  int steps_per_trim = kStepsPerRead;
  StreamOptions stream;
};

struct Wear {
  double sqlite = 0;  // bytes written, for each of payload
  double kernel = 0;
};

Wear Trickle(const Setup& setup, const Traffic& traffic) {
  const std::string& directory = setup.directory;
  std::filesystem::remove_all(directory);
  const DiskCount disk;
  testing::FakeClock clock;
  StoreOptions options;
  options.threads = false;
  options.platform.clock = &clock;
  options.platform.sqlite_vfs = disk.vfs();
  std::unique_ptr<Store> store = OpenStore(directory, options);
  Stream* const stream = Ok(store->CreateStream("wear", traffic.stream));
  Cursor* const cursor = traffic.deliver ? Ok(stream->OpenCursor("link")) : nullptr;
  const std::string data(kDataBytes, 'd');
  const int steps = setup.Scaled(kSteps);
  const double kernel_before = KernelWriteBytes();
  const double disk_before = disk.bytes();
  SequenceNumber sent = 0;  // read, and not yet acknowledged
  long delivered = 0;
  for (int step = 1; step <= steps; ++step) {
    for (int i = 0; i < kRecordsPerStep; ++i) Ok(stream->Put(kKey, data).status());
    if (traffic.deliver && step % kStepsPerRead == 0) {
      if (sent != 0) Ok(cursor->Advance(0, sent));
      const RecordBatch batch = Ok(cursor->Read(0));
      delivered += static_cast<long>(batch.records.size());
      sent = batch.next_sequence_number;
    }
    if (traffic.deliver && step % traffic.steps_per_trim == 0) {
      Ok(stream->Trim(0, cursor->Position(0)));
    }
    clock.Advance(kStep);
    store->Pump();
    if (step % kStepsPerWriteBack == 0) WriteBack(directory + "/eddy.intake");
  }
  store.reset();
  if (traffic.deliver && delivered < static_cast<long>(steps) * kRecordsPerStep) {
    Die("the reader was given fewer records than there are");
  }
  const double payload =
      static_cast<double>(steps) * kRecordsPerStep * static_cast<double>(kDataBytes + kKey.size());
  return {(disk.bytes() - disk_before) / payload,
          (KernelWriteBytes() - kernel_before) / payload};
}

}  // namespace

void RunWear(const Setup& setup, Report* report) {
  RequireCountedDisk(setup.directory);
  Traffic traffic;
  const Wear kept = Trickle(setup, traffic);
  report->Add("disk / payload bytes, 1000 records/s, kept", kept.sqlite, "ratio", AtMost(3.0));
  report->Add("the same, kernel, with intake", kept.kernel, "ratio", AtMost(3.0));
  traffic.deliver = true;
  const Wear delivered = Trickle(setup, traffic);
  report->Add("steady state with delivery", delivered.sqlite, "ratio", AtMost(1.5));
  report->Add("steady state with delivery, kernel, with intake", delivered.kernel, "ratio",
              AtMost(1.5));
  traffic.steps_per_trim = 500;
  const Wear seldom = Trickle(setup, traffic);
  report->Add("with delivery, trimmed every 5 s", seldom.sqlite, "ratio");
  report->Add("with delivery, trimmed every 5 s, kernel, with intake", seldom.kernel, "ratio");
  traffic.stream.persist = Persist::kSpill;
  const Wear spilled = Trickle(setup, traffic);
  report->Add("spill mode with the link up", spilled.sqlite, "ratio", AtMost(0.05));
  // The intake's pages are written back unless it lies on a tmpfs (intake_directory).
  report->Add("spill mode with the link up, kernel, with intake", spilled.kernel, "ratio");
}

}  // namespace eddy::bench
