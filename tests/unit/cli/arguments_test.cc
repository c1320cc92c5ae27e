#include "src/cli/arguments.h"

#include <catch2/catch_test_macros.hpp>

namespace eddy::cli {
namespace {

const ArgumentRules kRules = {{"--json"}, {"--max"}, 1, 2};

TEST_CASE("options may stand anywhere, with a blank or an equals sign", "[cli]") {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"dir", "--max", "7", "--json"}, {"--json", "--max=7", "dir"}}) {
    const auto arguments = Arguments::Parse(words, kRules);
    REQUIRE(arguments.ok());
    CHECK(arguments->size() == 1);
    CHECK((*arguments)[0] == "dir");
    CHECK(arguments->Has("--json"));
    CHECK(arguments->Number("--max", 1, 1, 10).value() == 7);
  }
}

TEST_CASE("a dash alone is an argument, and two end the options", "[cli]") {
  const auto arguments = Arguments::Parse({"-", "--", "--json"}, kRules);
  REQUIRE(arguments.ok());
  CHECK((*arguments)[0] == "-");
  CHECK((*arguments)[1] == "--json");
  CHECK(!arguments->Has("--json"));
}

TEST_CASE("what is unknown, missing or too much is named", "[cli]") {
  const auto message = [](const std::vector<std::string>& words) {
    return std::string(Arguments::Parse(words, kRules).status().message());
  };
  CHECK(message({"a", "--jsno"}) == "unknown option --jsno");
  CHECK(message({"a", "--json=yes"}) == "unknown option --json=yes");
  CHECK(message({"a", "--max"}) == "--max needs a value");
  CHECK(message({}) == "an argument is missing");
  CHECK(message({"a", "b", "c"}) == "one argument too many: c");
}

TEST_CASE("a number outside its bounds is refused with the bounds", "[cli]") {
  for (const char* text : {"0", "11", "-1", "seven", "", "7x"}) {
    const auto arguments = Arguments::Parse({"a", "--max", text}, kRules);
    REQUIRE(arguments.ok());
    const auto number = arguments->Number("--max", 1, 1, 10);
    CHECK(absl::IsInvalidArgument(number.status()));
    CHECK(number.status().message().find("1 to 10") != absl::string_view::npos);
  }
  CHECK(Arguments::Parse({"a"}, kRules)->Number("--max", 3, 1, 10).value() == 3);
}

}  // namespace
}  // namespace eddy::cli
