#include "src/log/wear.h"

#include "absl/strings/str_cat.h"
#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

constexpr uint64_t kDay = 24 * 60 * 60;
constexpr absl::Duration kStart = absl::Seconds(1000);

TEST_CASE("without a budget everything is affordable", "[log][wear]") {
  WriteBudget budget(0, kStart);
  budget.Spend(uint64_t{1} << 50, kStart);
  CHECK(budget.UntilAffordable(kStart) == absl::ZeroDuration());
}

TEST_CASE("an hour's share may be written at once, then the debt is waited for", "[log][wear]") {
  WriteBudget budget(kDay * 100, kStart);  // 100 B/s
  budget.Spend(360000, kStart);
  CHECK(budget.UntilAffordable(kStart) == absl::ZeroDuration());
  budget.Spend(500, kStart);
  CHECK(budget.UntilAffordable(kStart) == absl::Seconds(5));
  CHECK(budget.UntilAffordable(kStart + absl::Seconds(2)) == absl::Seconds(3));
  CHECK(budget.UntilAffordable(kStart + absl::Seconds(6)) == absl::ZeroDuration());
}

TEST_CASE("what is not written is saved for an hour at the most", "[log][wear]") {
  WriteBudget budget(kDay * 100, kStart);
  const absl::Duration later = kStart + absl::Hours(100);
  budget.Spend(360000, later);
  CHECK(budget.UntilAffordable(later) == absl::ZeroDuration());
  budget.Spend(100, later);
  CHECK(budget.UntilAffordable(later) == absl::Seconds(1));
}

TEST_CASE("a day's writes stay within the budget and a burst", "[log][wear]") {
  WriteBudget budget(kDay * 1000, kStart);
  uint64_t written = 0;
  for (absl::Duration now = kStart; now < kStart + absl::Hours(24); now += absl::Seconds(1)) {
    if (budget.UntilAffordable(now) > absl::ZeroDuration()) continue;
    budget.Spend(20000, now);
    written += 20000;
  }
  CHECK(written <= kDay * 1000 + 3600 * 1000 + 20000);
  CHECK(written >= kDay * 1000);
}

// --- In the engine -----------------------------------------------------------

struct BudgetFixture : LogFixture {
  static EngineOptions WithBudget(EngineOptions options) {
    options.store.write_budget_bytes_per_day = kDay * 1000;
    return options;
  }
  BudgetFixture() {
    REQUIRE(engine->Close().ok());
    engine.reset();
    options = WithBudget(options);
    Open();
  }
  // A second of a host that appends and pumps.
  void Second(size_t bytes) {
    Append(std::string(bytes, 'x'));
    device.clock.Advance(absl::Seconds(1));
    engine->RunOnce();
  }
};

TEST_CASE("over its budget a store commits more rarely, and says so", "[log][wear]") {
  BudgetFixture f;
  const auto bytes_in = [&](int seconds) {
    const uint64_t before = f.engine->Stats().disk_bytes_written;
    for (int i = 0; i < seconds; ++i) f.Second(10);
    return f.engine->Stats().disk_bytes_written - before;
  };
  const uint64_t early = bytes_in(100);
  CHECK(f.engine->Stats().flush_interval == absl::Seconds(1));
  bytes_in(3000);  // the hour's share is spent
  const uint64_t late = bytes_in(1000);
  CHECK(late / 1000 < early / 100);
  CHECK(late <= 1000 * 1000 + 40000);
  CHECK(f.engine->Stats().flush_interval > absl::Seconds(1));
  SECTION("a call that asks for kPower gets it all the same") {
    const Appended a = f.Append("now");
    CHECK(f.engine->WaitCommitted(f.id, a.end, absl::Seconds(1)).ok());
  }
}

TEST_CASE("a budget that is spent refuses only what finds no room in the intake", "[log][wear]") {
  BudgetFixture f;
  FrameParts parts;
  const std::string body(1000, 'x');
  parts.body = body;
  absl::Status status;
  int accepted = 0;
  for (; status.ok() && accepted < 100000; ++accepted) {
    status = f.log->Append(parts, absl::ZeroDuration()).status();
  }
  CHECK(absl::IsResourceExhausted(status));
  CHECK(std::string(status.message()).find("write_budget_bytes_per_day") != std::string::npos);
  const uint64_t written = f.engine->Stats().disk_bytes_written;
  CHECK(written > 3600 * 1000);             // the hour's share was used
  CHECK(written < 3600 * 1000 + (3 << 20));  // and one commit went beyond it
  f.device.clock.Advance(absl::Hours(1));
  CHECK(f.log->Append(parts, absl::ZeroDuration()).ok());
}

TEST_CASE("what was written in a store's life is added up over its processes", "[log][wear]") {
  LogFixture f;
  f.Append(std::string(10000, 'x'));
  REQUIRE(f.engine->Flush().ok());
  const StoreStats first = f.engine->Stats();
  CHECK(first.disk_bytes_written > 10000);
  CHECK(first.disk_bytes_total >= first.disk_bytes_written);
  SECTION("after a clean close") { f.CloseAndReopen(); }
  SECTION("after a kill") { f.KillAndReopen(); }
  const StoreStats second = f.engine->Stats();
  CHECK(second.disk_bytes_total >= first.disk_bytes_total + second.disk_bytes_written);
  CHECK(second.payload_bytes_total >= first.payload_bytes_total);
}

}  // namespace
}  // namespace eddy::log
