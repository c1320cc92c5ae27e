// Group commit and nothing around it: whoever comes first writes a page and syncs for
// all that have come by then, the others sleep on one futex. What this machine can do
// at all for many that wait for one sync: no log, no SQLite, no limits.
#ifndef EDDY_TESTS_BENCH_BARE_COMMIT_H_
#define EDDY_TESTS_BENCH_BARE_COMMIT_H_

#include <string>

namespace eddy::bench {

// Calls a second, `calls` in all, of so many threads. Leaves nothing at `path`.
double BareCommitsPerSecond(const std::string& path, int producers, int calls);

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_BARE_COMMIT_H_
