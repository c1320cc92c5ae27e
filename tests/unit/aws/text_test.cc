#include "src/aws/text.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace eddy::aws {
namespace {

TEST_CASE("percent-encoding leaves the unreserved and nothing else", "[aws][text]") {
  std::string unreserved;
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  for (const char c : all) {
    if (PercentEncode({&c, 1}).size() == 1) unreserved.push_back(c);
  }
  CHECK(unreserved == "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~");
  CHECK(PercentEncode("/ +\xe1") == "%2F%20%2B%E1");
  CHECK(PercentEncode("/a b/", /*keep_slash=*/true) == "/a%20b/");
  CHECK(PercentDecode(PercentEncode(all)) == all);
}

TEST_CASE("decoding leaves what is no escape", "[aws][text]") {
  CHECK(PercentDecode("%") == "%");
  CHECK(PercentDecode("%4") == "%4");
  CHECK(PercentDecode("%4g%") == "%4g%");
  CHECK(PercentDecode("a+b%2b%2B") == "a+b++");
}

}  // namespace
}  // namespace eddy::aws
