#include "src/stream/cursor_journal.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace eddy::stream {
namespace {

TEST_CASE("a cursor's move is read back as written", "[stream][cursor]") {
  const std::string name(128, 'c');
  const std::string op = EncodeMove({name, 999, UINT64_MAX});
  const absl::StatusOr<CursorMove> move = DecodeMove(op);
  REQUIRE(move.ok());
  CHECK(move->name == name);
  CHECK(move->shard == 999);
  CHECK(move->position == UINT64_MAX);
}

TEST_CASE("a journal frame that is no cursor's move is data loss",
          "[stream][cursor]") {
  const std::string good = EncodeMove({"c", 1, 2});
  for (size_t size = 0; size < good.size(); ++size) {
    CHECK(absl::IsDataLoss(DecodeMove(good.substr(0, size)).status()));
  }
  std::string other_format = good;
  other_format[0] = 2;
  CHECK(absl::IsDataLoss(DecodeMove(other_format).status()));
  CHECK(absl::IsDataLoss(DecodeMove(good + "/").status()));
  CHECK(absl::IsDataLoss(DecodeMove(good + std::string(128, 'c')).status()));
}

}  // namespace
}  // namespace eddy::stream
