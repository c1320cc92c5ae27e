#include "src/cli/arguments.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "src/base/strings.h"

namespace eddy::cli {
namespace {

bool Contains(const std::vector<std::string_view>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

absl::StatusOr<Arguments> Arguments::Parse(const std::vector<std::string>& words,
                                           const ArgumentRules& rules) {
  Arguments arguments;
  bool options_end = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (options_end || word.size() < 2 || word[0] != '-') {
      arguments.positional_.push_back(word);
      continue;
    }
    if (word == "--") {
      options_end = true;
      continue;
    }
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    if (Contains(rules.flags, name) && equals == std::string::npos) {
      arguments.named_[name] = "";
    } else if (!Contains(rules.options, name)) {
      return absl::InvalidArgumentError(absl::StrCat("unknown option ", word));
    } else if (equals != std::string::npos) {
      arguments.named_[name] = word.substr(equals + 1);
    } else if (i + 1 < words.size()) {
      arguments.named_[name] = words[++i];
    } else {
      return absl::InvalidArgumentError(absl::StrCat(name, " needs a value"));
    }
  }
  const size_t count = arguments.positional_.size();
  if (count < rules.positional_min) return absl::InvalidArgumentError("an argument is missing");
  if (count > rules.positional_max) {
    return absl::InvalidArgumentError(
        absl::StrCat("one argument too many: ", arguments.positional_[rules.positional_max]));
  }
  return arguments;
}

bool Arguments::Has(std::string_view name) const { return named_.find(name) != named_.end(); }

std::optional<std::string> Arguments::Value(std::string_view name) const {
  const auto found = named_.find(name);
  if (found == named_.end()) return std::nullopt;
  return found->second;
}

absl::StatusOr<uint64_t> Arguments::Number(std::string_view name, uint64_t otherwise,
                                           uint64_t min, uint64_t max) const {
  const std::optional<std::string> text = Value(name);
  if (!text.has_value()) return otherwise;
  uint64_t number = 0;
  if (!absl::SimpleAtoi(*text, &number) || number < min || number > max) {
    return absl::InvalidArgumentError(absl::StrCat(AbslView(name), " ", *text,
                                                   ": a number from ", min, " to ", max,
                                                   " is wanted"));
  }
  return number;
}

}  // namespace eddy::cli
