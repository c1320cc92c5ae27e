// PendingFrame: a frame that waits for its transaction, with bytes of its own.
// Depends on frame.h, log.h.
#ifndef EDDY_SRC_LOG_PENDING_FRAME_H_
#define EDDY_SRC_LOG_PENDING_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "src/log/frame.h"
#include "src/log/log.h"

namespace eddy::log {

struct PendingFrame {
  PendingFrame() = default;
  PendingFrame(Log* log_of, const FrameParts& parts)
      : log(log_of),
        kind(parts.kind),
        time_ms(parts.time_ms),
        time_trusted(parts.time_trusted),
        key(parts.key),
        head(parts.head),
        body(parts.body) {}

  // Views into this, as long as it stays where it is.
  FrameParts Parts() const { return {kind, time_ms, time_trusted, key, head, body}; }
  size_t Bytes() const { return AlignFrame(Parts().Bytes()); }

  Log* log = nullptr;
  uint8_t kind = 0;
  int64_t time_ms = 0;
  bool time_trusted = false;
  std::string key;
  std::string head;
  std::string body;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_PENDING_FRAME_H_
