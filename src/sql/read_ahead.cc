#include "src/sql/read_ahead.h"

#include <sqlite3.h>

#include <cstring>
#include <new>

namespace eddy::sql {
namespace {

// Between two pages of the WAL stands a header.
constexpr int64_t kGapMax = 24;

}  // namespace

int ReadAhead::Read(void* to, int bytes, int64_t offset) {
  const int64_t end = offset + bytes;
  const bool follows = offset >= next_ && offset - next_ <= kGapMax && next_ != 0;
  next_ = end;
  if (offset >= offset_ && end <= offset_ + static_cast<int64_t>(size_)) {
    std::memcpy(to, kept_.get() + (offset - offset_), static_cast<size_t>(bytes));
    return SQLITE_OK;
  }
  constexpr int64_t kAhead = kReadAheadBytes;
  const bool in_vain = vain_ >= 0 && offset >= vain_ && offset < vain_ + kAhead;
  if (!follows || in_vain || bytes > kAhead / 4) return read_(to, bytes, offset);
  if (kept_ == nullptr) kept_.reset(new (std::nothrow) char[kReadAheadBytes]);
  if (kept_ == nullptr) return read_(to, bytes, offset);
  size_ = 0;
  // The file ends before, or a place that nobody has asked for cannot be read: what
  // was asked for is read for itself, and says how it is.
  if (read_(kept_.get(), static_cast<int>(kReadAheadBytes), offset) != SQLITE_OK) {
    vain_ = offset;
    return read_(to, bytes, offset);
  }
  size_ = kReadAheadBytes;
  offset_ = offset;
  std::memcpy(to, kept_.get(), static_cast<size_t>(bytes));
  return SQLITE_OK;
}

}  // namespace eddy::sql
