#include "src/sql/write_gather.h"

#include <sqlite3.h>

#include <cstring>
#include <new>

namespace eddy::sql {

int WriteGather::Write(const void* from, int bytes, int64_t offset) {
  const size_t count = static_cast<size_t>(bytes);
  const bool follows = size_ > 0 && offset == offset_ + static_cast<int64_t>(size_);
  if (!follows || size_ + count > kGatherBytesMax) {
    const int code = Flush();
    if (code != SQLITE_OK) return code;
  }
  if (held_ == nullptr) held_.reset(new (std::nothrow) char[kGatherBytesMax]);
  if (held_ == nullptr || count > kGatherBytesMax) return write_(from, bytes, offset);
  if (size_ == 0) offset_ = offset;
  std::memcpy(held_.get() + size_, from, count);
  size_ += count;
  return SQLITE_OK;
}

int WriteGather::Flush() {
  const int failed = Remembered();
  const size_t size = std::exchange(size_, 0);
  if (failed != SQLITE_OK || size == 0) return failed;
  return write_(held_.get(), static_cast<int>(size), offset_);
}

void WriteGather::FlushAndRemember() { failed_ = Flush(); }

}  // namespace eddy::sql
