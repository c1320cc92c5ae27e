#include "src/stream/cursor_journal.h"

#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "src/stream/record_rules.h"

namespace eddy::stream {
namespace {

constexpr char kFormat = 1;
constexpr size_t kShardAt = 1;
constexpr size_t kPositionAt = kShardAt + sizeof(ShardId);
constexpr size_t kNameAt = kPositionAt + sizeof(uint64_t);

}  // namespace

std::string EncodeMove(const CursorMove& move) {
  std::string op(kNameAt, '\0');
  op[0] = kFormat;
  std::memcpy(&op[kShardAt], &move.shard, sizeof(move.shard));
  std::memcpy(&op[kPositionAt], &move.position, sizeof(move.position));
  op.append(move.name);
  return op;
}

absl::StatusOr<CursorMove> DecodeMove(std::string_view op) {
  if (op.size() <= kNameAt || op[0] != kFormat) {
    return absl::DataLossError(absl::StrCat("a journal frame of ", op.size(),
                                            " bytes is not a cursor's move"));
  }
  CursorMove move;
  std::memcpy(&move.shard, &op[kShardAt], sizeof(move.shard));
  std::memcpy(&move.position, &op[kPositionAt], sizeof(move.position));
  move.name = op.substr(kNameAt);
  const absl::Status named = CheckName("cursor name", move.name);
  if (!named.ok()) {
    return absl::DataLossError(
        absl::StrCat("a journal frame: ", named.ToString()));
  }
  return move;
}

}  // namespace eddy::stream
