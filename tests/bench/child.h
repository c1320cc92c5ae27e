// Parts of a benchmark that need a program of their own: what is to be killed, and
// what is to be weighed (a mere fork would inherit what earlier rounds left free in
// the allocator, and take its memory from there uncounted).
//
// main() hands a call `eddy_bench --child PART ARGUMENTS...` to RunPart; a part says
// its numbers on standard output.
#ifndef EDDY_TESTS_BENCH_CHILD_H_
#define EDDY_TESTS_BENCH_CHILD_H_

#include <string>
#include <vector>

namespace eddy::bench {

// Starts this program anew for the part, waits for its end and returns its numbers.
// `killed`: the part ends itself with SIGKILL. Dies if it ends in another way.
std::vector<double> RunInChild(const std::string& part, const std::vector<std::string>& arguments,
                               bool killed = false);

// In the child. The parts are:
//   fill DIR RECORDS BYTES stop|kill     puts the records and ends; no numbers
//   open DIR                             milliseconds of Store::Open
//   memory DIR STREAMS ACTIVE            resident MB beyond the intake, see parts.cc
//   fill-queue DIR MESSAGES              sends messages of 256 B; no numbers
//   cycle DIR MESSAGES                   queue cycles/s, and resident MB beyond the intake
int RunPart(const std::string& part, const std::vector<std::string>& arguments);

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_CHILD_H_
