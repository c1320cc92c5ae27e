// A disk whose syncs take longer: flash cards take from a millisecond up, where the
// machine of a benchmark takes some 50 us. Below a store's database, as Platform::sqlite_vfs.
#ifndef EDDY_TESTS_BENCH_SLOW_SYNC_H_
#define EDDY_TESTS_BENCH_SLOW_SYNC_H_

#include <string>

namespace eddy::bench {

// Name of a VFS that is SQLite's own but for its syncs: each sleeps for 100 us once it is
// done, which is some 150 to 200 with the timer's slack.
std::string SlowSyncVfs();

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_SLOW_SYNC_H_
