#include "tests/crash/world.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "src/base/strings.h"

namespace eddy::crash {
namespace {

char Filler(uint32_t number) { return static_cast<char>('a' + number % 26); }

}  // namespace

void World::AllIsDurable() {
  for (KnownShard& shard : shards) {
    for (KnownRecord& record : shard.records) {
      record.durable = record.outcome == Outcome::kAccepted;
    }
    shard.trim.durable = shard.trim.accepted;
    shard.cursor.durable = shard.cursor.accepted;
  }
  for (auto& [number, message] : messages) {
    message.durable = message.outcome == Outcome::kAccepted;
    message.erase_durable = message.erase_accepted;
    message.count_durable = message.count_accepted;
  }
}

KnownRecord* World::FindRecord(size_t shard, uint32_t number) {
  for (KnownRecord& record : shards[shard].records) {
    if (record.number == number) return &record;
  }
  return nullptr;
}

void World::Decide(const KnownTransaction& transaction, bool is_there) {
  for (const auto& [shard, number] : transaction.records) {
    KnownRecord* const record = FindRecord(shard, number);
    record->outcome = is_there ? Outcome::kOpen : Outcome::kRefused;
    record->whole = is_there;
  }
  for (const uint32_t number : transaction.sent) {
    KnownMessage& message = messages[number];
    message.outcome = is_there ? Outcome::kAccepted : Outcome::kRefused;
    message.durable = is_there;
  }
  if (!is_there) return;
  for (const uint32_t number : transaction.deleted) {
    KnownMessage& message = messages[number];
    message.erase_tried = message.erase_accepted = message.erase_durable = true;
  }
  KnownPlace& cursor = shards[transaction.shard].cursor;
  cursor.tried = std::max(cursor.tried, transaction.cursor);
  cursor.accepted = std::max(cursor.accepted, transaction.cursor);
  cursor.durable = std::max(cursor.durable, transaction.cursor);
}

std::string Bytes(uint32_t number, uint32_t bytes) {
  return absl::StrCat(number, ":", std::string(bytes, Filler(number)));
}

bool AreBytes(std::string_view data, uint32_t number, uint32_t bytes) {
  const std::string head = absl::StrCat(number, ":");
  if (data.size() != head.size() + bytes || data.substr(0, head.size()) != head) return false;
  if (bytes == 0) return true;
  const char* const filler = data.data() + head.size();
  // All alike: the bytes are themselves, moved by one.
  return *filler == Filler(number) && std::memcmp(filler, filler + 1, bytes - 1) == 0;
}

uint32_t NumberOf(std::string_view data) {
  uint32_t number = 0;
  const size_t colon = data.find(':');
  if (colon == std::string_view::npos) return 0;
  return absl::SimpleAtoi(AbslView(data.substr(0, colon)), &number) ? number : 0;
}

}  // namespace eddy::crash
