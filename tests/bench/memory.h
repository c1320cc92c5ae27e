// What the kernel says this process holds in memory.
#ifndef EDDY_TESTS_BENCH_MEMORY_H_
#define EDDY_TESTS_BENCH_MEMORY_H_

namespace eddy::bench {

// Resident MB of all mappings but intake files. The heap counts, stacks, SQLite's
// shared memory, and what has been touched of the program and its libraries.
double ResidentMbBeyondIntake();

void SleepSeconds(double seconds);

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_MEMORY_H_
