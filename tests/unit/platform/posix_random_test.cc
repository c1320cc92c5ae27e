#include "platform/posix/posix_random.h"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

#include "tests/unit/platform/posix_test_util.h"

namespace eddy {
namespace {

TEST_CASE("numbers do not repeat, in one generator or between two",
          "[platform][random]") {
  PosixRandom a;
  PosixRandom b;
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    seen.insert(a.Next());
    seen.insert(b.Next());
  }
  CHECK(seen.size() == 2000);
}

TEST_CASE("every bit is set about half of the time", "[platform][random]") {
  PosixRandom random;
  int counts[64] = {};
  for (int i = 0; i < 10000; ++i) {
    const uint64_t number = random.Next();
    for (int bit = 0; bit < 64; ++bit) {
      if ((number >> bit & 1) != 0) ++counts[bit];
    }
  }
  for (int count : counts) {
    CHECK(count > 4500);  // ten standard deviations
    CHECK(count < 5500);
  }
}

TEST_CASE("threads get different numbers", "[platform][random]") {
  PosixRandom random;
  std::vector<uint64_t> numbers[4];
  {
    std::vector<std::thread> threads;
    for (std::vector<uint64_t>& mine : numbers) {
      threads.emplace_back([&random, &mine] {
        for (int i = 0; i < 1000; ++i) mine.push_back(random.Next());
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  std::set<uint64_t> seen;
  for (const auto& mine : numbers) seen.insert(mine.begin(), mine.end());
  CHECK(seen.size() == 4000);
}

TEST_CASE("a forked child does not repeat its parent's numbers",
          "[platform][random]") {
  PosixRandom random;
  int from_child[2];
  REQUIRE(pipe(from_child) == 0);
  {
    testing::Child child([&] {
      const uint64_t number = random.Next();
      return write(from_child[1], &number, sizeof(number)) == sizeof(number)
                 ? 0
                 : 1;
    });
    REQUIRE(child.code() == 0);
  }
  uint64_t number = 0;
  REQUIRE(read(from_child[0], &number, sizeof(number)) == sizeof(number));
  CHECK(number != random.Next());
  close(from_child[0]);
  close(from_child[1]);
}

}  // namespace
}  // namespace eddy
