// What `eddy check` says of a store that is as eddy writes it.
#include "src/cli/check.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "src/cli/commands.h"
#include "src/cli/read_only_store.h"
#include "tests/unit/stream/stream_fixture.h"

namespace eddy::cli {

// Of the command's main, for RunCheck, which is not called here.
int Fail(const absl::Status&, ExitCode code) { return code; }

namespace {

using stream::Ok;
using stream::StreamFixture;

std::string Found(StreamFixture* f) {
  ReadOnlyStore store = Ok(ReadOnlyStore::Open(stream::kStore, f->device.disk.name()));
  std::string found;
  Checker checker(store, /*deep=*/true, [&](const std::string& what) { found += what + "\n"; });
  Ok(checker.Run());
  REQUIRE(checker.block_count() > 0);
  return found;
}

// A board without a battery, once more: it writes, learns the time, and writes on.
TEST_CASE("times that were repaired once the clock was set are no damage", "[cli][check][time]") {
  StreamFixture f;
  f.CutAndReopenInto([&] {
    f.device.clock.SetTrusted(false);
    f.device.clock.SetWall(absl::FromUnixSeconds(7));
  });
  f.Put("k", "of 1970");
  Ok(f.engine->Flush());
  CHECK(Found(&f) == "");
  f.device.clock.Advance(absl::Seconds(100));
  f.device.clock.SetWall(absl::FromUnixSeconds(1800000000));
  f.device.clock.SetTrusted(true);
  f.CommitDue();
  CHECK(Found(&f) == "");
}

}  // namespace
}  // namespace eddy::cli
