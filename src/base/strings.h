// The one bridge between std::string_view, which eddy uses everywhere, and
// absl::string_view, which is another type where Abseil was built as C++14.
#ifndef EDDY_SRC_BASE_STRINGS_H_
#define EDDY_SRC_BASE_STRINGS_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace eddy {

inline absl::string_view AbslView(std::string_view s) {
  return absl::string_view(s.data(), s.size());
}

}  // namespace eddy

#endif  // EDDY_SRC_BASE_STRINGS_H_
