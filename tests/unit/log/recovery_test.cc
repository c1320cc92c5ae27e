#include "absl/strings/str_cat.h"
#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

TEST_CASE("what was accepted survives the death of the process", "[log][recovery]") {
  LogFixture f;
  std::vector<std::string> want;
  for (int i = 0; i < 500; ++i) {
    want.push_back(absl::StrCat("b", i, std::string(i, '.')));
    f.Append(want.back());
    if (i == 200) REQUIRE(f.engine->Flush().ok());
  }
  const uint64_t tail = f.log->tail();
  f.KillAndReopen();
  CHECK(f.Bodies() == want);
  CHECK(f.engine->Stats().frames_recovered > 0);
  CHECK_FALSE(f.engine->Stats().intake_distrusted);
  CHECK(f.Append("next").position >= tail);
}

TEST_CASE("the tail never goes down, not even over a claim that its process did not live to publish",
          "[log][recovery]") {
  LogFixture f;
  f.Append("a");
  std::string intake = f.device.files.Content(kIntake);
  const Appended unpublished = f.Append("b");
  // As if the kill had come between the claim and the publication of "b".
  f.device.disk.KillProcess();
  f.engine.reset();
  f.device.files.SetContent(kIntake, intake);
  f.Open();
  CHECK(f.Bodies() == std::vector<std::string>{"a"});
  CHECK(f.log->tail() >= unpublished.end);
  const uint64_t tail = f.log->tail();
  f.KillAndReopen();
  CHECK(f.log->tail() >= tail);
}

TEST_CASE("nobody is told that a frame is there in a gap of the positions", "[log][recovery][read]") {
  LogFixture f;
  const Appended a = f.Append("a");
  f.KillAndReopen();
  CHECK_FALSE(f.log->WaitForFrame(a.end, absl::Seconds(1)));
  CHECK(f.log->WaitForFrame(a.position, absl::ZeroDuration()));
  f.Append("b");
  CHECK(f.log->WaitForFrame(a.end, absl::ZeroDuration()));
}

TEST_CASE("a second death right after the takeover loses nothing and doubles nothing",
          "[log][recovery]") {
  LogFixture f;
  f.Append("a");
  f.Append("b");
  // The takeover's commit reaches the disk, the reset of the intake does not.
  const std::string before = f.device.files.Content(kIntake);
  f.KillAndReopen();
  f.device.disk.KillProcess();
  f.engine.reset();
  f.device.files.SetContent(kIntake, before);
  f.Open();
  CHECK(f.Bodies() == std::vector<std::string>{"a", "b"});
  CHECK(f.engine->Stats().frames_recovered == 0);
}

TEST_CASE("after a power cut what was committed is there, and the intake is not believed",
          "[log][recovery]") {
  LogFixture f;
  f.Append("committed");
  REQUIRE(f.engine->Flush().ok());
  f.Append("accepted");
  f.CutAndReopen();
  CHECK(f.Bodies() == std::vector<std::string>{"committed"});
  CHECK(f.engine->Stats().intake_distrusted);
}

TEST_CASE("no position is given out again after a power cut", "[log][recovery]") {
  LogFixture f(8 << 20);
  f.Append("a");
  REQUIRE(f.engine->Flush().ok());
  uint64_t handed_out = 0;
  for (int i = 0; i < 7000; ++i) handed_out = f.Append(std::string(1000, 'x')).position;
  f.CutAndReopen();
  uint64_t after = f.Append("b").position;
  CHECK(after > handed_out);
  SECTION("not even after a second one with no commit in between") {
    for (int i = 0; i < 100; ++i) handed_out = f.Append("never committed").position;
    f.CutAndReopen(8);
    CHECK(f.Append("c").position > handed_out);
  }
  SECTION("and not when the intake's size changes in between") {
    f.options.store.intake_bytes = 256 << 10;
    f.CutAndReopen(9);
    CHECK(f.Append("c").position > after);
  }
}

TEST_CASE("a clean close is believed in any boot, and needs no jump", "[log][recovery]") {
  LogFixture f;
  const Appended a = f.Append("a");
  REQUIRE(f.engine->Close().ok());
  f.engine.reset();
  f.device.files.PowerCut(3);
  f.device.clock.Reboot();
  f.Open();
  CHECK_FALSE(f.engine->Stats().intake_distrusted);
  CHECK(f.Bodies() == std::vector<std::string>{"a"});
  CHECK(f.Append("b").position == a.end);
}

TEST_CASE("an intake file that is gone counts as a power cut, not as a disaster", "[log][recovery]") {
  LogFixture f;
  f.Append("a");
  REQUIRE(f.engine->Flush().ok());
  const Appended lost = f.Append("b");
  f.device.disk.KillProcess();
  f.engine.reset();
  REQUIRE(f.device.files.Remove(kIntake).ok());
  f.Open();
  CHECK(f.engine->Stats().intake_distrusted);
  CHECK(f.Bodies() == std::vector<std::string>{"a"});
  CHECK(f.Append("c").position > lost.position);
}

TEST_CASE("the intake may have another size at the next open", "[log][recovery]") {
  LogFixture f;
  for (int i = 0; i < 100; ++i) f.Append(absl::StrCat(i));
  f.options.store.intake_bytes = 8 << 20;
  f.KillAndReopen();
  CHECK(f.Bodies().size() == 100);
  for (int i = 0; i < 100; ++i) f.Append(absl::StrCat(i));
  f.options.store.intake_bytes = 512 << 10;
  f.KillAndReopen();
  CHECK(f.Bodies().size() == 200);
}

TEST_CASE("a takeover that the disk refuses leaves everything for the next open",
          "[log][recovery][fault]") {
  LogFixture f;
  for (int i = 0; i < 200; ++i) f.Append(std::string(1000, 'x'));
  f.device.Kill(std::move(f.engine), kIntake);
  f.device.disk.SetCapacity(f.device.disk.Size("/store/eddy.db") + 40000);
  {
    absl::StatusOr<std::unique_ptr<Engine>> engine = Engine::Open(f.options);
    const absl::Status status = engine.ok() ? (*engine)->FinishOpen() : engine.status();
    CHECK(absl::IsResourceExhausted(status));
  }
  f.device.disk.SetCapacity(UINT64_MAX);
  f.Open();
  CHECK(f.Bodies().size() == 200);
}

}  // namespace
}  // namespace eddy::log
