// Where a run took place, so that its numbers can be believed later.
#ifndef EDDY_TESTS_BENCH_MACHINE_H_
#define EDDY_TESTS_BENCH_MACHINE_H_

#include <string>

#include "tests/bench/report.h"

namespace eddy::bench {

// Processor, cores, memory, kernel, the file system of `directory`, the load before
// the run begins, SQLite's version, the date (UTC).
Facts MachineFacts(const std::string& directory);

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_MACHINE_H_
