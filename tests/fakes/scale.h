// EDDY_TEST_SCALE shrinks the repetitions of long tests where the machine is
// slow (under an emulator). 1 is the full promise; the default is 1.
#ifndef EDDY_TESTS_FAKES_SCALE_H_
#define EDDY_TESTS_FAKES_SCALE_H_

#include <algorithm>
#include <cstdlib>

namespace eddy::testing {

inline int Scaled(int repetitions) {
  const char* scale = std::getenv("EDDY_TEST_SCALE");
  const double factor = scale == nullptr ? 1.0 : std::strtod(scale, nullptr);
  return std::max(1, static_cast<int>(repetitions * (factor > 0 ? factor : 1.0)));
}

}  // namespace eddy::testing

#endif  // EDDY_TESTS_FAKES_SCALE_H_
