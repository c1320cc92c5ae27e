// Thinner: gives back the blocks that an old frame would hold.
//
// A block goes as a whole when the log is trimmed up to its end. In a log whose frames
// become useless in any order (a queue's) one that stays useful, a poison message, say,
// would hold its block and all that lie behind it. So the thinner walks the blocks
// between such a log's first frame and where its view has been (Participant::passed),
// a few a round and in turn:
//
//   no frame is live     the row is deleted
//   few are              one row for each run of live frames takes its place, and
//                        between them there is nothing:
//
//      | . . a . . . b c . . . . |    becomes    | a |   | b c |
//
//   else                 it stays
//
// Frames keep their positions. A reader that comes to where something was cut out goes
// on at the next row, as behind any gap of positions; one that holds an old block still
// sees frames which nobody asks for.
//
// Wear: a block is written anew only if at most a fourth of its frames is live, what is
// written is at most half of what it was, it has been so for kThinAfter (most blocks
// then go as a whole), and it is large enough to give back pages. So thinning adds at
// most half of what the blocks took, and as a rule nothing; what is left to lie is at
// most kThinBytesMin, or three times as much again, for each live frame.
//
// What goes must be gone in the tables too: the view is asked in the cut, and the rows
// are changed in the transaction that holds what it has captured there. A crash leaves
// both or neither.
//
// Depends on engine.h, keeper.h, block_writer.h.
#ifndef EDDY_SRC_LOG_THINNER_H_
#define EDDY_SRC_LOG_THINNER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "src/log/block_draft.h"
#include "src/log/block_writer.h"
#include "src/log/engine.h"
#include "src/log/keeper.h"
#include "src/log/segment_log.h"

namespace eddy::log {

// So many rows a round looks at, without their bytes; one of them it may write anew.
inline constexpr size_t kThinLooksMax = 32;
inline constexpr uint64_t kThinLiveShare = 4;
inline constexpr uint64_t kThinBytesMin = 8 << 10;  // stored; less shares its pages
inline constexpr absl::Duration kThinAfter = absl::Seconds(10);

// Threads: not safe: the engine's commit lock. `writer` and `keeper` outlive it.
class Thinner {
 public:
  // Whose blocks to look at: those that end at or below `end`.
  struct View {
    Participant* participant = nullptr;
    SegmentLog* log = nullptr;
    uint64_t end = 0;
  };

  Thinner(BlockWriter* writer, Keeper* keeper) : writer_(writer), keeper_(keeper) {}

  // A round, from here: forgets the last one and reads what to look at. After an
  // error there is nothing.
  absl::Status Plan(const std::vector<View>& views);
  // In the cut, after the captures. False: there is nothing to do.
  bool Choose(absl::Duration now);
  // In the transaction, with the state that was captured.
  absl::Status Write();
  void Finish(bool committed);

 private:
  struct Look {
    View view;
    BlockRow row;
    std::vector<uint64_t> live;
  };

  absl::Status List(const View& view, size_t most);
  bool RewriteIsDue(const Look& look, bool few, absl::Duration now);
  absl::Status Replace(const Look& look, BlockSum* added);

  BlockWriter* const writer_;
  Keeper* const keeper_;

  size_t turn_ = 0;
  std::map<LogId, uint64_t> from_;  // where the walk goes on
  std::vector<Look> looks_;         // after Choose: what to do
  // Blocks with few live frames, and since when. Of ids that are not yet passed by
  // their log; more than kCandidatesMax are not noted.
  std::map<int64_t, absl::Duration> candidates_;
};

// The runs of the frames at `live`, in order, of a block's frames: false if one of them
// is not there.
bool CutRuns(const BlockRow& row, std::string_view frames, const std::vector<uint64_t>& live,
             const BootStarts& starts, std::vector<BlockDraft>* runs);

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_THINNER_H_
