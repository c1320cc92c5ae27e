// RequestSize: how many bytes the next request may hold.
//
// A full request takes minutes over a thin link and would time out for ever, and a
// proxy may refuse what the service would take. So a failure for its size halves what
// the next one may hold. A success lets it grow again:
//
//       kBytesMin          wall / 2          wall         bytes_max
//           |-- to twice ------|-- + wall/16 --|-- to twice --|
//
// The wall is the smallest size that failed: near it growth is slow, since what failed
// a moment ago will most likely fail again, and a timeout costs minutes. A request as
// large as the wall that succeeds proves it gone. Only a request that was at least
// half full counts: a smaller one says nothing about larger ones. (Half, because
// entries are whole: with ones of just above half the size, none is ever fuller.)
// Pure.
#ifndef EDDY_SRC_FORWARD_REQUEST_SIZE_H_
#define EDDY_SRC_FORWARD_REQUEST_SIZE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace eddy::forward {

class RequestSize {
 public:
  // Below it a request's cost is its round trip, not its bytes.
  static constexpr size_t kBytesMin = 4096;

  explicit RequestSize(size_t bytes_max) : bytes_max_(bytes_max), bytes_(bytes_max) {}

  // At least one entry is sent, however large.
  size_t bytes() const { return bytes_; }

  // A request of so many bytes had no answer in time.
  void TimedOut(size_t sent_bytes) { Shrink(sent_bytes, kBytesMin); }
  // A request of more than one entry was refused for its size.
  void TooLarge(size_t sent_bytes) { Shrink(sent_bytes, 1); }

  void Succeeded(size_t sent_bytes) {
    if (sent_bytes >= wall_) wall_ = kNoWall;
    if (sent_bytes < bytes_ / 2) return;
    bytes_ = bytes_ < wall_ / 2 ? std::max(bytes_, 2 * sent_bytes)
                                : bytes_ + std::max<size_t>(wall_ / 16, 1);
    bytes_ = std::min(bytes_, bytes_max_);
  }

  // The service's limit became known; what was learnt of the way there stays.
  void SetMax(size_t bytes_max) {
    bytes_ = bytes_ == bytes_max_ ? bytes_max : std::min(bytes_, bytes_max);
    bytes_max_ = bytes_max;
  }

 private:
  static constexpr size_t kNoWall = SIZE_MAX;

  void Shrink(size_t sent_bytes, size_t bytes_min) {
    wall_ = std::min(wall_, sent_bytes);
    bytes_ = std::max(std::min(bytes_, sent_bytes) / 2, std::min(bytes_min, bytes_max_));
  }

  size_t bytes_max_;
  size_t bytes_;
  size_t wall_ = kNoWall;
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_REQUEST_SIZE_H_
