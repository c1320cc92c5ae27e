// RequestSize: how many bytes the next request may hold.
//
// A full request takes minutes over a thin link and would time out for ever. So a
// timeout halves what the next one may hold, and each success doubles it again.
// Pure.
#ifndef EDDY_SRC_FORWARD_REQUEST_SIZE_H_
#define EDDY_SRC_FORWARD_REQUEST_SIZE_H_

#include <algorithm>
#include <cstddef>

namespace eddy::forward {

class RequestSize {
 public:
  // Below it a request's cost is its round trip, not its bytes.
  static constexpr size_t kBytesMin = 4096;

  explicit RequestSize(size_t bytes_max) : bytes_max_(bytes_max), bytes_(bytes_max) {}

  // At least one entry is sent, however large.
  size_t bytes() const { return bytes_; }

  void TimedOut(size_t sent_bytes) {
    bytes_ = std::max(std::min(bytes_, sent_bytes) / 2, std::min(kBytesMin, bytes_max_));
  }
  void Succeeded() { bytes_ = std::min(bytes_max_, bytes_ * 2); }

  // The service's limit became known.
  void SetMax(size_t bytes_max) {
    bytes_max_ = bytes_max;
    bytes_ = std::min(bytes_, bytes_max);
  }

 private:
  size_t bytes_max_;
  size_t bytes_;
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_REQUEST_SIZE_H_
