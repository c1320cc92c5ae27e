// A queue's whole cycle, as every benchmark of it runs it: send, receive and delete
// of 256 B in batches of ten.
#ifndef EDDY_TESTS_BENCH_CYCLE_H_
#define EDDY_TESTS_BENCH_CYCLE_H_

#include <cstddef>
#include <functional>

#include "eddy/eddy.h"

namespace eddy::bench {

inline constexpr char kCycleQueue[] = "cycle";
inline constexpr int kCycleBatch = 10;
inline constexpr size_t kBodyBytes = 256;

void SendMessages(Queue* queue, int messages);
void Cycle(Queue* queue, int messages, int workers = 1);

// Messages a second, `ten` being a cycle of ten, by so many threads in all.
double PerSecond(int messages, int workers, const std::function<void()>& ten);

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_CYCLE_H_
