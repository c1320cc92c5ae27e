// ReadAhead: reads of one file that follow one another, made as one.
//
// A block lies on some sixty pages, and SQLite reads each for itself: to hand it out,
// to delete it (each page names the next), and from the WAL to copy it. From the second
// read on that goes on where the last one stopped, more is read than was asked for.
//
// What is kept is as old as its read, so it must be forgotten before anybody may see
// something newer: see Forget.
// Depends on SQLite only.
#ifndef EDDY_SRC_SQL_READ_AHEAD_H_
#define EDDY_SRC_SQL_READ_AHEAD_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace eddy::sql {

// Taken when it is first of use.
inline constexpr size_t kReadAheadBytes = 64 << 10;

// Threads: not safe: one connection's file.
class ReadAhead {
 public:
  // The read below; returns SQLite's code.
  using ReadBelow = std::function<int(void* to, int bytes, int64_t offset)>;

  explicit ReadAhead(ReadBelow read) : read_(std::move(read)) {}
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  int Read(void* to, int bytes, int64_t offset);

  // The file may have changed, or is about to.
  void Forget() { size_ = 0; }

 private:
  const ReadBelow read_;
  std::unique_ptr<char[]> kept_;
  size_t size_ = 0;
  int64_t offset_ = 0;  // of the first byte that is kept
  int64_t next_ = 0;    // where a read would follow the last one
  int64_t vain_ = -1;   // where reading ahead has failed, mostly at the file's end
};

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_READ_AHEAD_H_
