#include "tests/fakes/fake_files.h"

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <utility>

namespace eddy::testing {
namespace {

using Op = FakeFiles::Op;
constexpr size_t kPage = FakeFiles::kPageBytes;

TEST_CASE("a directory needs a parent that exists", "[fakes][files]") {
  FakeFiles files;
  CHECK(absl::IsNotFound(files.PrepareDirectory("/a/b")));
  CHECK(files.PrepareDirectory("/a").ok());
  CHECK(files.PrepareDirectory("/a").ok());
  CHECK(files.PrepareDirectory("/a/b").ok());
  CHECK(files.Exists("/a/b"));
  CHECK(absl::IsNotFound(files.MapShared("/c/intake", 8).status()));
  files.SetContent("/a/f", "x");
  CHECK(absl::IsFailedPrecondition(files.PrepareDirectory("/a/f")));
  CHECK(absl::IsFailedPrecondition(files.PrepareDirectory("/a/f/g")));
}

TEST_CASE("a lock is exclusive until it is given back", "[fakes][files]") {
  FakeFiles files;
  auto lock = files.Lock("/lock");
  REQUIRE(lock.ok());
  CHECK(absl::IsFailedPrecondition(files.Lock("/lock").status()));
  lock->reset();
  CHECK(files.Lock("/lock").ok());

  SECTION("another process is named") {
    files.HoldForeignLock("/lock", 4711);
    const absl::Status refused = files.Lock("/lock").status();
    CHECK(absl::IsFailedPrecondition(refused));
    CHECK(refused.ToString().find("4711") != std::string::npos);
    files.ReleaseForeignLock("/lock");
    CHECK(files.Lock("/lock").ok());
  }
  SECTION("an old lock object frees no newer lock") {
    auto old = files.Lock("/lock");
    files.KillProcess();
    auto newer = files.Lock("/lock");
    REQUIRE(newer.ok());
    old->reset();
    CHECK(absl::IsFailedPrecondition(files.Lock("/lock").status()));
  }
}

TEST_CASE("a mapping begins with zeros and survives its destruction",
          "[fakes][files]") {
  FakeFiles files;
  {
    auto mapping = files.MapShared("/intake", 3 * kPage);
    REQUIRE(mapping.ok());
    CHECK((*mapping)->size() == 3 * kPage);
    CHECK(reinterpret_cast<uintptr_t>((*mapping)->data()) % kPage == 0);
    CHECK((*mapping)->data()[3 * kPage - 1] == 0);
    std::memcpy((*mapping)->data() + kPage, "eddy", 4);
  }
  CHECK(files.Size("/intake").value() == 3 * kPage);
  auto longer = files.MapShared("/intake", 4 * kPage);
  REQUIRE(longer.ok());
  CHECK(std::memcmp((*longer)->data() + kPage, "eddy", 4) == 0);
  CHECK((*longer)->data()[3 * kPage] == 0);
}

TEST_CASE("a file can be removed once", "[fakes][files]") {
  FakeFiles files;
  files.SetContent("/f", "x");
  CHECK(files.Remove("/f").ok());
  CHECK_FALSE(files.Exists("/f"));
  CHECK(absl::IsNotFound(files.Remove("/f")));
  CHECK(absl::IsNotFound(files.Size("/f").status()));
}

TEST_CASE("process death loses nothing that was stored before it",
          "[fakes][files]") {
  FakeFiles files;
  auto lock = files.Lock("/lock");
  auto mapping = files.MapShared("/intake", kPage);
  (*mapping)->data()[0] = 'a';
  files.Freeze();
  (*mapping)->data()[0] = 'b';  // a destructor that goes on working
  CHECK(absl::IsUnavailable(files.Remove("/intake")));
  mapping->reset();
  files.KillProcess();
  CHECK(files.Content("/intake")[0] == 'a');
  CHECK(files.Lock("/lock").ok());
}

TEST_CASE("a power cut leaves of each page its old, new or zero state",
          "[fakes][files]") {
  constexpr size_t kPages = 3;
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    FakeFiles files;
    {
      auto mapping = files.MapShared("/intake", kPages * kPage);
      std::memset((*mapping)->data(), 'o', kPages * kPage);
      files.Sync();
      // The last page stays as it was synced.
      std::memset((*mapping)->data(), 'n', 2 * kPage);
    }
    files.PowerCut(seed);
    const std::string content = files.Content("/intake");
    std::string outcome;
    for (size_t page = 0; page < kPages; ++page) {
      const std::string bytes = content.substr(page * kPage, kPage);
      REQUIRE(bytes == std::string(kPage, bytes[0]));  // never mixed
      outcome += bytes[0] == '\0' ? 'z' : bytes[0];
    }
    REQUIRE(outcome[2] == 'o');
    outcomes.insert(outcome);
  }
  CHECK(outcomes.size() == 9);
}

TEST_CASE("a copy is what a power cut would leave, and the files go on", "[fakes][files]") {
  FakeFiles files;
  auto mapping = files.MapShared("/intake", 64 * kPage);
  std::memset((*mapping)->data(), 'n', 64 * kPage);
  FakeFiles copy(files, 42);
  CHECK(copy.MapShared("/intake", 64 * kPage).ok());
  CHECK(files.Content("/intake") == std::string(64 * kPage, 'n'));
  mapping->reset();
  files.PowerCut(42);
  CHECK(copy.Content("/intake") == files.Content("/intake"));
}

TEST_CASE("the same seed cuts the same way", "[fakes][files]") {
  std::string contents[2];
  for (std::string& content : contents) {
    FakeFiles files;
    std::memset((*files.MapShared("/intake", 64 * kPage))->data(), 'n',
                64 * kPage);
    files.PowerCut(42);
    content = files.Content("/intake");
  }
  CHECK(contents[0] == contents[1]);
}

TEST_CASE("a full disk refuses to map and gives its space back",
          "[fakes][files]") {
  FakeFiles files;
  files.SetFreeBytes(2 * kPage);
  CHECK(absl::IsResourceExhausted(
      files.MapShared("/intake", 3 * kPage).status()));
  CHECK(files.MapShared("/intake", 2 * kPage).ok());
  CHECK(absl::IsResourceExhausted(files.MapShared("/other", 1).status()));
  CHECK(files.Remove("/intake").ok());
  CHECK(files.MapShared("/other", 1).ok());
}

TEST_CASE("a fault hits the operation it was made for", "[fakes][files]") {
  FakeFiles files;
  const absl::Status io_error = absl::UnavailableError("EIO");

  SECTION("once, after good calls") {
    files.FailNext(Op::kPrepareDirectory, io_error, /*skip=*/1);
    CHECK(files.MapShared("/f", 1).ok());
    CHECK(files.PrepareDirectory("/a").ok());
    CHECK(files.PrepareDirectory("/b") == io_error);
    CHECK(files.PrepareDirectory("/b").ok());
  }
  SECTION("for good") {
    files.FailNext(Op::kLock, io_error, 0, /*sticky=*/true);
    CHECK(files.Lock("/l").status() == io_error);
    CHECK(files.Lock("/l").status() == io_error);
    files.ClearFaults();
    CHECK(files.Lock("/l").ok());
  }
}

}  // namespace
}  // namespace eddy::testing
