// A queue's whole cycle, as every benchmark of it runs it: send, receive and delete
// of 256 B in batches of ten, by one thread.
#ifndef EDDY_TESTS_BENCH_CYCLE_H_
#define EDDY_TESTS_BENCH_CYCLE_H_

#include <cstddef>

#include "eddy/eddy.h"

namespace eddy::bench {

inline constexpr char kCycleQueue[] = "cycle";
inline constexpr int kCycleBatch = 10;
inline constexpr size_t kBodyBytes = 256;

void SendMessages(Queue* queue, int messages);
void Cycle(Queue* queue, int messages);

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_CYCLE_H_
