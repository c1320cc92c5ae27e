// The bars that no benchmark measures yet. They stand in the table and do not hold,
// so that --check cannot pass by silence. To measure one, add it where its subject
// is and take it out here.
#include "tests/bench/report.h"

namespace eddy::bench {

void RunUnmeasured(const Setup&, Report* report) {
  const auto missing = [report](const char* name, const char* unit, Bar bar) {
    report->AddMissing(name, "not yet measured", unit, bar);
  };
  missing("disk / payload, 1000 records/s of 200 B", "ratio", AtMost(3.0));
  missing("disk / payload, steady state with delivery", "ratio", AtMost(1.5));
  missing("disk / payload, spill mode with the link up", "ratio", AtMost(0.05));
  missing("resident memory, 1000 streams of which 10 active", "MB", AtMost(8));
  missing("queue kPower, disk bytes / row queue FULL's", "ratio", AtMost(1.0 / 3));
  missing("queue, 10 M backlog, memory more", "MB", AtMost(1));
  missing("kProcess 256 B (device-storelibrary: 0.65)", "M records/s", AtLeast(0.65));
  missing("kProcess 256 B, p50 (device-storelibrary: 1300)", "ns", AtMost(1300));
  missing("open, 300 k records (device-storelibrary: 70)", "ms", AtMost(70));
}

}  // namespace eddy::bench
