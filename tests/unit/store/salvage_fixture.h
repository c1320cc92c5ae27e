// A store on a device in memory whose database is damaged behind its back, and the model
// that says what it must still give out: each record unchanged, once, in order, or told
// of by a gap.
#ifndef EDDY_TESTS_UNIT_STORE_SALVAGE_FIXTURE_H_
#define EDDY_TESTS_UNIT_STORE_SALVAGE_FIXTURE_H_

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "eddy/eddy.h"
#include "src/base/status.h"
#include "src/sql/database.h"
#include "tests/fakes/device.h"
#include "tests/fakes/fake_random.h"

namespace eddy::testing {

inline constexpr char kDatabase[] = "/store/eddy.db";
inline constexpr char kWal[] = "/store/eddy.db-wal";

struct SalvageFixture {
  static constexpr char kDirectory[] = "/store";

  explicit SalvageFixture(uint64_t seed = 1) : device(seed) {
    options.platform = device.platform();
    options.threads = false;
    options.intake_bytes = 256 << 10;
  }

  absl::Status TryOpen() {
    auto opened = Store::Open(kDirectory, options);
    if (!opened.ok()) return opened.status();
    store = *std::move(opened);
    return absl::OkStatus();
  }
  void Open() {
    const absl::Status opened = TryOpen();
    INFO(opened.ToString());
    REQUIRE(opened.ok());
  }

  // Streams "a" (two shards) and "b", a queue "q", a cursor "c" on each stream, a table:
  // with records of `bytes` and a commit after each few.
  void Fill(int each = 60, size_t bytes = 300) {
    StreamOptions two;
    two.shard_count = 2;
    REQUIRE(store->CreateStream("a", two).ok());
    REQUIRE(store->CreateStream("b").ok());
    REQUIRE(store->CreateQueue("q").ok());
    REQUIRE((*store->OpenStream("a"))->OpenCursor("c").ok());
    REQUIRE((*store->OpenStream("b"))->OpenCursor("c").ok());
    REQUIRE(store->Transact([](Transaction& t) {
      EDDY_RETURN_IF_ERROR(
          t.sql().Run("CREATE TABLE app_rows (id INTEGER PRIMARY KEY, what TEXT, r REAL)")
              .status());
      EDDY_RETURN_IF_ERROR(
          t.sql().Run("CREATE TABLE app_keys (k TEXT, n INTEGER, PRIMARY KEY (n, k)) WITHOUT ROWID")
              .status());
      for (int i = 0; i < 5; ++i) {
        EDDY_RETURN_IF_ERROR(t.sql().Run("INSERT INTO app_rows VALUES (?, ?, ?)",
                                         {i * 10, absl::StrCat("row ", i), i + 0.5}).status());
        EDDY_RETURN_IF_ERROR(
            t.sql().Run("INSERT INTO app_keys VALUES (?, ?)", {absl::StrCat("k", i), i}).status());
      }
      return absl::OkStatus();
    }).ok());
    for (int i = 0; i < each; ++i) {
      PutTo("a", 0, bytes);
      PutTo("a", 1, bytes);
      PutTo("b", 0, bytes);
      Send(bytes);
      if (i % 5 == 4) REQUIRE(store->Flush().ok());
    }
    REQUIRE(store->Flush().ok());
  }

  void PutTo(const std::string& stream, ShardId shard, size_t bytes = 300) {
    const std::string data = NewData(bytes);
    PutOptions put;
    put.explicit_hash_key = shard == 0 ? "0" : "340282366920938463463374607431768211455";
    const auto result = (*store->OpenStream(stream))->Put("key", data, put);
    INFO(result.status().ToString());
    REQUIRE(result.ok());
    const auto place = std::make_pair(stream, shard);
    REQUIRE(given.insert({place, result->sequence_number}).second);  // never twice
    REQUIRE(result->sequence_number > highest[place]);
    highest[place] = result->sequence_number;
    records[place].push_back({result->sequence_number, data});
  }
  void Send(size_t bytes = 300) {
    const std::string body = NewData(bytes);
    const auto sent = (*store->OpenQueue("q"))->Send(body);
    INFO(sent.status().ToString());
    REQUIRE(sent.ok());
    messages.insert(body);
  }
  std::string NewData(size_t bytes) {
    const std::string number = absl::StrCat("#", next++, " ");
    std::string data = number;
    while (data.size() < bytes) data += number;  // packed, but not to nothing
    return data;
  }

  void Close() {
    store.reset();
    device.disk.SetContent(kWal, "");
  }
  void Kill() { device.Kill(std::move(store), "/store/eddy.intake"); }
  void Damage(const std::string& bytes) { device.disk.SetContent(kDatabase, bytes); }
  // Of a store that is closed. The schema is page 1, meta 2, logs 3, blocks 4, ...
  void SpoilPage(size_t page) {
    std::string bytes = Database();
    REQUIRE(bytes.size() >= page * 4096);
    bytes.replace((page - 1) * 4096, 4096, std::string(4096, '\xaa'));
    Damage(bytes);
  }
  std::string Database() { return device.disk.Content(kDatabase); }
  // Of a store that is closed.
  void Change(const std::string& sql) {
    sql::OpenOptions how;
    how.vfs = device.disk.name();
    auto db = sql::Database::Open(kDatabase, how);
    REQUIRE(db.ok());
    const absl::Status changed = db->Exec(sql.c_str());
    INFO(changed.ToString());
    REQUIRE(changed.ok());
    REQUIRE(db->Close().ok());
  }

  // Runs the background work until the salvage is done.
  void Salvage(int rounds_max = 5000) {
    for (int i = 0; i < rounds_max; ++i) {
      const SalvageState state = store->Stats().salvage.state;
      if (state == SalvageState::kDone || state == SalvageState::kNone) return;
      device.clock.Advance(absl::Milliseconds(5));
      store->Pump();
    }
    FAIL("the salvage does not end: " << store->Stats().salvage.cause.ToString());
  }

  struct Read {
    std::vector<std::pair<SequenceNumber, std::string>> records;
    std::vector<Gap> gaps;
    uint64_t lost() const {
      uint64_t count = 0;
      for (const Gap& gap : gaps) count += gap.count;
      return count;
    }
    bool Tells(SequenceNumber number) const {
      for (const Gap& gap : gaps) {
        if (gap.first <= number && number <= gap.last) return true;
      }
      return false;
    }
  };
  // Everything from the beginning.
  Read ReadAll(const std::string& name, ShardId shard) {
    Read read;
    const auto stream = store->OpenStream(name);
    if (!stream.ok()) return read;
    auto iterator = (*stream)->GetShardIterator(
        shard, {ShardIteratorType::kAtSequenceNumber, 0, absl::Time()});
    INFO(iterator.status().ToString());
    REQUIRE(iterator.ok());
    for (;;) {
      const auto batch = (*stream)->GetRecords(*iterator);
      INFO(batch.status().ToString());
      REQUIRE(batch.ok());
      if (batch->gap) read.gaps.push_back(*batch->gap);
      if (batch->records.empty() && !batch->gap) return read;
      for (const Record& record : batch->records) {
        read.records.emplace_back(record.sequence_number, std::string(record.data));
      }
      iterator = batch->next_shard_iterator;
    }
  }

  // The stream that `name` is now: itself, or the one that nobody knows. "": none.
  std::string NameNow(const std::string& name) {
    if (store->OpenStream(name).ok()) return name;
    for (const std::string& other : store->ListStreams()) {
      if (other != "a" && other != "b") return other;
    }
    return "";
  }

  // Whether a table cannot be read to its end.
  bool MeetsDamage() {
    for (const auto& [place, all] : records) {
      const auto stream = store->OpenStream(place.first);
      if (!stream.ok() || place.second >= (*stream)->shard_count()) continue;
      auto iterator = (*stream)->GetShardIterator(
          place.second, {ShardIteratorType::kAtSequenceNumber, 0, absl::Time()});
      for (;;) {
        const auto batch = (*stream)->GetRecords(*iterator);
        if (absl::IsDataLoss(batch.status())) return true;
        if (!batch.ok() || (batch->records.empty() && !batch->gap)) break;
        iterator = batch->next_shard_iterator;
      }
    }
    for (int i = 0; i < 10; ++i) {
      const auto queue = store->OpenQueue("q");
      if (!queue.ok()) return false;
      ReceiveOptions look;
      look.visibility_timeout = absl::ZeroDuration();
      if (absl::IsDataLoss((*queue)->Receive(look).status())) return true;
    }
    return !store->Flush().ok();
  }

  // All that was ever put into the shard is there or told of; nothing else is. Returns how
  // many are missing. `told`: whether each must be told of by a gap.
  size_t JudgeShard(const std::string& name, ShardId shard, bool told = true) {
    INFO(name << " shard " << shard);
    const Read read = ReadAll(name, shard);
    const auto& want = records[{name, shard}];
    size_t missing = 0;
    size_t next_found = 0;
    for (const auto& [number, data] : want) {
      if (next_found < read.records.size() && read.records[next_found].first == number) {
        REQUIRE(read.records[next_found].second == data);
        ++next_found;
        continue;
      }
      ++missing;
      CAPTURE(number);
      if (told) REQUIRE(read.Tells(number));
    }
    REQUIRE(next_found == read.records.size());  // nothing else, nothing twice
    return missing;
  }
  size_t JudgeShards(bool told = true) {
    return JudgeShard("a", 0, told) + JudgeShard("a", 1, told) + JudgeShard("b", 0, told);
  }

  // Receives and deletes all that is there: each was sent, and comes once.
  std::set<std::string> Drain() {
    std::set<std::string> got;
    const auto queue = store->OpenQueue("q");
    if (!queue.ok()) return got;
    for (;;) {
      ReceiveOptions ten;
      ten.max_messages = 10;
      const auto batch = (*queue)->Receive(ten);
      INFO(batch.status().ToString());
      REQUIRE(batch.ok());
      if (batch->empty()) return got;
      for (const Message& message : *batch) {
        REQUIRE(messages.count(message.body) == 1);
        REQUIRE(got.insert(message.body).second);
        REQUIRE((*queue)->Delete(message.receipt_handle, Durability::kProcess).ok());
      }
    }
  }

  std::vector<SqlRow> Query(const std::string& sql) {
    const auto rows = store->Query(sql);
    INFO(rows.status().ToString());
    REQUIRE(rows.ok());
    return *rows;
  }

  Device device;
  StoreOptions options;
  std::unique_ptr<Store> store;
  int next = 0;
  using Place = std::pair<std::string, ShardId>;
  std::map<Place, std::vector<std::pair<SequenceNumber, std::string>>> records;
  std::map<Place, SequenceNumber> highest;
  std::set<std::pair<Place, SequenceNumber>> given;
  std::set<std::string> messages;
};

}  // namespace eddy::testing

#endif  // EDDY_TESTS_UNIT_STORE_SALVAGE_FIXTURE_H_
