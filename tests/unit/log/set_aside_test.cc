#include "src/log/set_aside.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "tests/fakes/fake_files.h"

namespace eddy::log {
namespace {

constexpr char kDirectory[] = "/store";
constexpr char kHere[] = "/store/eddy.db";
constexpr char kThere[] = "/store/damaged-1/eddy.db";

// A store with a WAL, as a kill leaves it.
struct Place {
  Place() {
    REQUIRE(files.PrepareDirectory(kDirectory).ok());
    files.SetContent(kHere, "database");
    files.SetContent(std::string(kHere) + "-wal", "wal");
  }
  testing::FakeFiles files;
};

TEST_CASE("a database is set aside with its WAL", "[log][set_aside]") {
  Place place;
  const auto aside = SetAside(&place.files, kDirectory, "a reason", absl::UnixEpoch());
  REQUIRE(aside.ok());
  CHECK(*aside == "/store/damaged-1");
  CHECK(!place.files.Exists(kHere));
  CHECK(!place.files.Exists(std::string(kHere) + "-wal"));
  CHECK(place.files.Content(kThere) == "database");
  CHECK(place.files.Content(std::string(kThere) + "-wal") == "wal");
  CHECK(Unsalvaged(&place.files, kDirectory) == std::vector<std::string>{*aside});
  CHECK(!place.files.Exists("/store/damaged-1/moving"));
}

TEST_CASE("a set-aside that a death has interrupted between its two renames is finished",
          "[log][set_aside]") {
  Place place;
  REQUIRE(SetAside(&place.files, kDirectory, "a reason", absl::UnixEpoch()).ok());
  REQUIRE(place.files.Rename(kThere, kHere).ok());  // as before step 3
  place.files.SetContent("/store/damaged-1/moving", "x");
  REQUIRE(FinishSetAside(&place.files, kDirectory).ok());
  CHECK(!place.files.Exists(kHere));
  CHECK(place.files.Content(kThere) == "database");
  CHECK(!place.files.Exists("/store/damaged-1/moving"));
}

TEST_CASE("what somebody has left of a set-aside moves no good database after it",
          "[log][set_aside]") {
  Place place;
  REQUIRE(SetAside(&place.files, kDirectory, "a reason", absl::UnixEpoch()).ok());
  REQUIRE(place.files.Remove(kThere).ok());  // the largest file, to make room
  place.files.SetContent(kHere, "the new one");
  place.files.SetContent(std::string(kHere) + "-wal", "its WAL");
  REQUIRE(FinishSetAside(&place.files, kDirectory).ok());
  CHECK(place.files.Content(kHere) == "the new one");
  CHECK(place.files.Content(std::string(kHere) + "-wal") == "its WAL");

  SECTION("nor does a mark that was left behind") {
    place.files.SetContent(kThere, "back");
    place.files.SetContent("/store/damaged-1/moving", "x");
    REQUIRE(FinishSetAside(&place.files, kDirectory).ok());
    REQUIRE(place.files.Remove(kThere).ok());
    REQUIRE(FinishSetAside(&place.files, kDirectory).ok());
    CHECK(place.files.Content(kHere) == "the new one");
  }
}

}  // namespace
}  // namespace eddy::log
