// WriteGather: writes of one file that follow one another, handed on as one.
//
//   xWrite 24 B | xWrite 4 KiB | xWrite 24 B | xWrite 4 KiB | ... xSync
//   `----------------------- one write -------------------------'
//
// SQLite writes each page for itself, and in the WAL the page's header too. On ext4 a
// write of 4 KiB costs the CPU some 5 us more than its share of a large one: a MiB in
// such pieces and a sync took 3.5 ms, in one piece 1.6.
//
// What has been taken and not yet handed on nobody else can see, so Flush must come
// before anybody looks at the file. Taking answers OK; a write that fails then is
// answered by the Flush, or if that one had nobody to tell it to, by the next call.
// SQLite asks for every byte by a sync before it believes in it; but whoever is told before
// that must not go on, since what was held is gone: see FlushToRead in counting_vfs.cc.
// Depends on SQLite only.
#ifndef EDDY_SRC_SQL_WRITE_GATHER_H_
#define EDDY_SRC_SQL_WRITE_GATHER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace eddy::sql {

// Memory taken at the first write, of which the kernel gives what is written to. A
// page less than 128 KiB: SQLite's unix VFS looks at the low 17 bits of a length.
inline constexpr size_t kGatherBytesMax = 124 << 10;
static_assert(kGatherBytesMax < 1 << 17);

// Threads: not safe: one connection's file.
class WriteGather {
 public:
  // The write below; returns SQLite's code.
  using WriteBelow = std::function<int(const void* from, int bytes, int64_t offset)>;

  explicit WriteGather(WriteBelow write) : write_(std::move(write)) {}
  WriteGather(const WriteGather&) = delete;
  WriteGather& operator=(const WriteGather&) = delete;

  // Takes a write, or passes on what was taken before it, or all of it.
  int Write(const void* from, int bytes, int64_t offset);

  // Nothing is held back after it. After an error what was held is gone: the file
  // is as after any write that failed.
  int Flush();

  // The same, for a caller that can answer nothing: an error is that of the next call.
  void FlushAndRemember();

 private:
  int Remembered() { return std::exchange(failed_, 0); }

  const WriteBelow write_;
  std::unique_ptr<char[]> held_;
  size_t size_ = 0;
  int64_t offset_ = 0;  // where the first held byte goes
  int failed_ = 0;      // a code that nobody has been told
};

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_WRITE_GATHER_H_
