// A judge of delivery that knows only what was put and what arrived: which records
// are missing, which came out of order within their key, twice, or from nowhere.
//
// The data of record n of a key, from 0, is the number n in decimal, perhaps with
// "/anything" behind it.
#ifndef EDDY_TESTS_FAKES_ORDER_JUDGE_H_
#define EDDY_TESTS_FAKES_ORDER_JUDGE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace eddy::testing {

struct Judgement {
  uint64_t missing = 0;
  uint64_t out_of_order = 0;  // first arrivals that are not the next one of their key
  uint64_t twice = 0;
  uint64_t invented = 0;
};

// `put`: how many records of each key. `arrived`: key and data, in order of arrival.
inline Judgement Judge(const std::map<std::string, int>& put,
                       const std::vector<std::pair<std::string, std::string>>& arrived) {
  struct Seen {
    std::vector<bool> numbers;
    int newest = -1;
  };
  Judgement judgement;
  std::map<std::string, Seen> keys;
  for (const auto& [key, count] : put) keys[key].numbers.resize(static_cast<size_t>(count));
  for (const auto& [key, data] : arrived) {
    const auto found = keys.find(key);
    char* end = nullptr;
    const long number = std::strtol(data.c_str(), &end, 10);
    const bool is_number = end != data.c_str() && (*end == '\0' || *end == '/');
    if (found == keys.end() || !is_number || number < 0 ||
        static_cast<size_t>(number) >= found->second.numbers.size()) {
      ++judgement.invented;
      continue;
    }
    Seen& seen = found->second;
    if (seen.numbers[static_cast<size_t>(number)]) {
      ++judgement.twice;
      continue;
    }
    if (number != seen.newest + 1) ++judgement.out_of_order;
    seen.numbers[static_cast<size_t>(number)] = true;
    seen.newest = std::max(seen.newest, static_cast<int>(number));
  }
  for (const auto& [key, seen] : keys) {
    judgement.missing +=
        static_cast<uint64_t>(std::count(seen.numbers.begin(), seen.numbers.end(), false));
  }
  return judgement;
}

}  // namespace eddy::testing

#endif  // EDDY_TESTS_FAKES_ORDER_JUDGE_H_
