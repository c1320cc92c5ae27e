// Group commit and nothing around it: whoever comes first writes a page and syncs for
// all that have come by then, the others sleep on one futex, or give their processor away
// some times before. What this machine can do at all for many that wait for one sync: no
// log, no SQLite, no limits.
#ifndef EDDY_TESTS_BENCH_BARE_COMMIT_H_
#define EDDY_TESTS_BENCH_BARE_COMMIT_H_

#include <string>
#include <vector>

namespace eddy::bench {

// As CallsPerSecond (bench.h). `polls`: how often one gives its processor away before it
// sleeps. Leaves nothing at `path`.
double BareCommitsPerSecond(const std::string& path, int producers, int calls, int polls,
                            std::vector<double>* us);

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_BARE_COMMIT_H_
