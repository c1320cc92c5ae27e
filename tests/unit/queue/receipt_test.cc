#include "src/queue/receipt.h"

#include <catch2/catch_test_macros.hpp>

namespace eddy::queue {
namespace {

constexpr Receipt kReceipt = {5, 0xabcdef01, 0x123456789abc, 3};
constexpr uint64_t kSalt = 1700000000000;

TEST_CASE("a receipt handle is 32 characters that say which receive it was",
          "[queue][receipt]") {
  const std::string handle = EncodeReceipt(kReceipt, kSalt);
  CHECK(handle.size() == 32);
  const auto receipt = DecodeReceipt(handle, 5, kSalt);
  REQUIRE(receipt.ok());
  CHECK(receipt->session == kReceipt.session);
  CHECK(receipt->position == kReceipt.position);
  CHECK(receipt->receive_count == kReceipt.receive_count);
}

// A handle outlives the process that gave it out. (Of a machine with the lowest byte
// first, as a store does not travel between byte orders.)
TEST_CASE("a handle is base64url of its fields and their check", "[queue][receipt]") {
  CHECK(EncodeReceipt(kReceipt, kSalt) == "BQAAAAHvzau8mnhWNBIAAAMAAAB_grLE");
}

TEST_CASE("a handle changed anywhere is not a handle", "[queue][receipt]") {
  const std::string handle = EncodeReceipt(kReceipt, kSalt);
  for (size_t i = 0; i < handle.size(); ++i) {
    std::string changed = handle;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    INFO(changed);
    CHECK(absl::IsInvalidArgument(DecodeReceipt(changed, 5, kSalt).status()));
  }
}

TEST_CASE("garbage is not a handle", "[queue][receipt]") {
  const std::string handle = EncodeReceipt(kReceipt, kSalt);
  for (const std::string& bad :
       {std::string(), std::string("x"), handle.substr(1), handle + "A", " " + handle.substr(1),
        handle.substr(0, 31) + "\n", handle.substr(0, 31) + "=", std::string(32, '\0'),
        std::string(32, 'A'), std::string(1 << 20, 'A')}) {
    CHECK(absl::IsInvalidArgument(DecodeReceipt(bad, 5, kSalt).status()));
  }
  CHECK(absl::IsInvalidArgument(DecodeReceipt(handle, 6, kSalt).status()));
  CHECK(absl::IsInvalidArgument(DecodeReceipt(handle, 5, kSalt + 1).status()));
}

}  // namespace
}  // namespace eddy::queue
