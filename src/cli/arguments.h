// Arguments: what follows a command's name, taken apart.
#ifndef EDDY_SRC_CLI_ARGUMENTS_H_
#define EDDY_SRC_CLI_ARGUMENTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace eddy::cli {

// An option is --name, or --name VALUE, or --name=VALUE. "--" ends the options;
// a single "-" is no option.
struct ArgumentRules {
  std::vector<std::string_view> flags;    // without a value
  std::vector<std::string_view> options;  // with one
  size_t positional_min = 0;
  size_t positional_max = 0;
};

class Arguments {
 public:
  //   kInvalidArgument   names what is unknown, missing or too much.
  static absl::StatusOr<Arguments> Parse(const std::vector<std::string>& words,
                                         const ArgumentRules& rules);

  const std::string& operator[](size_t index) const { return positional_[index]; }
  size_t size() const { return positional_.size(); }

  bool Has(std::string_view name) const;
  std::optional<std::string> Value(std::string_view name) const;

  // The number behind --name, or `otherwise`.
  //   kInvalidArgument   not a number within the bounds.
  absl::StatusOr<uint64_t> Number(std::string_view name, uint64_t otherwise, uint64_t min,
                                  uint64_t max) const;

 private:
  std::vector<std::string> positional_;
  std::map<std::string, std::string, std::less<>> named_;
};

}  // namespace eddy::cli

#endif  // EDDY_SRC_CLI_ARGUMENTS_H_
