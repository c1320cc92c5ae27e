#include "src/forward/bisection.h"

#include <set>
#include <vector>

#include <catch2/catch_test_macros.hpp>

namespace eddy::forward {
namespace {

// Plays the service: refuses each request that holds one of `bad`. Returns the guilty
// ones, in the order found, and counts the requests.
std::vector<int> Find(std::vector<int> sent, const std::set<int>& bad, int* request_count) {
  Bisection<int> bisection;
  std::vector<int> guilty;
  const auto is_refused = [&](const std::vector<int>& ids) {
    for (const int id : ids) {
      if (bad.count(id) > 0) return true;
    }
    return false;
  };
  bisection.Refused(sent);
  while (bisection.active()) {
    const std::vector<int> ids = bisection.Next();
    REQUIRE_FALSE(ids.empty());
    REQUIRE(++*request_count < 1000);
    if (!is_refused(ids)) {
      bisection.Cleared(ids);
    } else if (ids.size() == 1) {
      guilty.push_back(ids[0]);
      bisection.Cleared(ids);
    } else {
      bisection.Refused(ids);
    }
  }
  return guilty;
}

std::vector<int> Numbers(int count) {
  std::vector<int> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

TEST_CASE("the one bad entry is found wherever it is, in twice log2 requests",
          "[forward][bisection]") {
  for (int bad = 0; bad < 500; ++bad) {
    int request_count = 0;
    CHECK(Find(Numbers(500), {bad}, &request_count) == std::vector<int>{bad});
    CHECK(request_count <= 18);
  }
}

TEST_CASE("each refusal finds one of several, and blames no other", "[forward][bisection]") {
  int request_count = 0;
  const std::vector<int> guilty = Find(Numbers(64), {3, 40}, &request_count);
  REQUIRE(guilty.size() == 1);  // the other half is sent as usual, refused, and halved anew
  CHECK(guilty[0] == 3);
}

TEST_CASE("a single refused entry stays the next until it is cleared", "[forward][bisection]") {
  Bisection<int> bisection;
  CHECK_FALSE(bisection.active());
  bisection.Refused({7});
  CHECK(bisection.Next() == std::vector<int>{7});
  bisection.Cleared({7});
  CHECK_FALSE(bisection.active());
}

}  // namespace
}  // namespace eddy::forward
