#include "platform/posix/posix_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "platform/posix/errno_status.h"
#include "src/base/status.h"

namespace eddy {
namespace {

static_assert(sizeof(off_t) == 8, "build with _FILE_OFFSET_BITS=64, as CMakeLists.txt does");

constexpr mode_t kDirectoryMode = 0750;  // the owner writes, its group looks
constexpr mode_t kFileMode = 0640;

// Closes at the end of a scope. Errors of close() matter only to files whose
// writes count; those are closed by hand.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  // Closes now and tells errno, 0 for success.
  int Close() { return close(std::exchange(fd_, -1)) == 0 ? 0 : errno; }

 private:
  int fd_;
};

Descriptor Open(const std::string& path, int flags) {
  int fd;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC, kFileMode);
  } while (fd < 0 && errno == EINTR);
  return Descriptor(fd);
}

// Type and size without opening the file. statx has 64-bit times everywhere;
// stat on a 32-bit time_t fails on files dated 2038 or later. Returns errno.
struct Info {
  bool is_directory = false;
  uint64_t bytes = 0;
};
int Stat(const std::string& path, Info* info) {
#if defined(STATX_SIZE)
  struct statx st;
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_TYPE | STATX_SIZE, &st) != 0) {
    return errno;
  }
  info->is_directory = S_ISDIR(st.stx_mode);
  info->bytes = st.stx_size;
#else
  struct stat st;
  if (stat(path.c_str(), &st) != 0) return errno;
  info->is_directory = S_ISDIR(st.st_mode);
  info->bytes = static_cast<uint64_t>(st.st_size);
#endif
  return 0;
}

std::string ParentOf(const std::string& path) {
  const size_t last = path.find_last_not_of('/');
  if (last == std::string::npos) return "/";
  const size_t slash = path.find_last_of('/', last);
  if (slash == std::string::npos) return ".";
  const size_t end = path.find_last_not_of('/', slash);
  return end == std::string::npos ? "/" : path.substr(0, end + 1);
}

absl::Status SyncDirectory(const std::string& path) {
  const Descriptor directory = Open(path, O_RDONLY | O_DIRECTORY);
  // A parent that we may enter but not read, or a file system that cannot sync
  // directories: nothing to be done, and no reason to refuse the store.
  if (!directory.ok()) return absl::OkStatus();
  if (fsync(directory.get()) != 0 && errno != EINVAL && errno != EROFS) {
    return ErrnoToStatus(errno, absl::StrCat("sync directory ", path));
  }
  return absl::OkStatus();
}

// Writes a block into a file of `path` and removes it: the only way to learn
// that a directory is writable, on a file system that is, with room left. What
// a crash leaves of it the next probe takes away.
absl::Status ProbeDirectory(const std::string& path) {
  constexpr size_t kProbeBytes = 4096;
  const std::string file = absl::StrCat(path, "/.eddy-probe");
  const std::string doing = absl::StrCat("write a file in ", path);
  Descriptor probe = Open(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW);
  if (!probe.ok()) return ErrnoToStatus(errno, doing);
  const std::string block(kProbeBytes, 'e');
  int error = 0;
  size_t written = 0;
  while (written < block.size() && error == 0) {
    const ssize_t n =
        write(probe.get(), block.data() + written, block.size() - written);
    if (n > 0) {
      written += static_cast<size_t>(n);
    } else if (n == 0) {
      error = ENOSPC;
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  const int close_error = probe.Close();  // where network file systems tell
  unlink(file.c_str());  // if that fails, the file is the next probe's
  return ErrnoToStatus(error != 0 ? error : close_error, doing);
}

class PosixFileLock : public FileLock {
 public:
  PosixFileLock(Descriptor fd, bool has_pid) : fd_(std::move(fd)), has_pid_(has_pid) {}
  ~PosixFileLock() override {
    // So that no one reads a stale pid; it does not matter if it fails.
    if (has_pid_) (void)!ftruncate(fd_.get(), 0);
  }

 private:
  Descriptor fd_;  // closing it gives the lock back
  const bool has_pid_;
};

class PosixMapping : public Mapping {
 public:
  PosixMapping(void* data, size_t bytes, Descriptor fd)
      : data_(static_cast<char*>(data)), bytes_(bytes), fd_(std::move(fd)) {}
  ~PosixMapping() override { munmap(data_, bytes_); }
  char* data() override { return data_; }
  size_t size() const override { return bytes_; }

 private:
  char* const data_;
  const size_t bytes_;
  const Descriptor fd_;  // holds the lock
};

// Takes an exclusive lock on the file without waiting. Returns errno.
int TryLock(int fd) {
  int result;
  do {
    result = flock(fd, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

// The pid that the owner of the lock wrote; 0 if it has not yet.
int ReadPid(int fd) {
  char text[32];
  const ssize_t bytes = pread(fd, text, sizeof(text), 0);
  int pid = 0;
  if (bytes <= 0 ||
      !absl::SimpleAtoi(
          absl::StripSuffix(absl::string_view(text, static_cast<size_t>(bytes)),
                            "\n"),
          &pid)) {
    return 0;
  }
  return pid;
}

// Gives the first `bytes` of the file real blocks, keeping their content.
// Returns errno.
int Allocate(int fd, size_t bytes) {
#if !defined(__APPLE__)
  int error;
  do {
    error = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  } while (error == EINTR);
  // glibc falls back to writing by itself, other libraries do not.
  if (error != EOPNOTSUPP && error != EINVAL && error != ENOSYS) return error;
#endif
  constexpr size_t kBlockBytes = 512;  // no file system allocates less
  for (size_t offset = 0; offset < bytes; offset += kBlockBytes) {
    // The last byte of each block; the last of all sets the size.
    const size_t last =
        bytes - offset > kBlockBytes ? offset + kBlockBytes - 1 : bytes - 1;
    char byte = 0;
    if (pread(fd, &byte, 1, static_cast<off_t>(last)) < 0) return errno;
    ssize_t n;
    do {
      n = pwrite(fd, &byte, 1, static_cast<off_t>(last));
    } while (n < 0 && errno == EINTR);
    if (n < 0) return errno;
  }
  return 0;
}

}  // namespace

absl::Status PosixFiles::PrepareDirectory(const std::string& path) {
  const std::string doing = absl::StrCat("prepare directory ", path);
  const int mkdir_error = mkdir(path.c_str(), kDirectoryMode) == 0 ? 0 : errno;
  Info info;
  const int error = Stat(path, &info);
  if (error != 0) {
    // It is not there and could not be made: mkdir knows why.
    return ErrnoToStatus(
        mkdir_error != 0 && mkdir_error != EEXIST ? mkdir_error : error, doing);
  }
  if (!info.is_directory) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is a file, not a directory"));
  }
  EDDY_RETURN_IF_ERROR(ProbeDirectory(path));
  // Also when it was there: whoever made it may have died before its sync.
  return SyncDirectory(ParentOf(path));
}

absl::StatusOr<std::unique_ptr<FileLock>> PosixFiles::Lock(
    const std::string& path) {
  const std::string doing = absl::StrCat("lock ", path);
  Descriptor fd = Open(path, O_RDWR | O_CREAT);
  if (!fd.ok()) return ErrnoToStatus(errno, doing);
  const int error = TryLock(fd.get());
  if (error != 0) {
    if (error != EWOULDBLOCK) return ErrnoToStatus(error, doing);
    const int pid = ReadPid(fd.get());
    return absl::FailedPreconditionError(absl::StrCat(
        path, " is locked by ",
        pid == 0          ? "another process"
        : pid == getpid() ? absl::StrCat("this process (pid ", pid, ")")
                          : absl::StrCat("process ", pid)));
  }
  // The pid is only for the message above: a full disk must not refuse a lock.
  // What somebody else has written there stays.
  if (ReadPid(fd.get()) == 0 && lseek(fd.get(), 0, SEEK_END) > 0) {
    return std::unique_ptr<FileLock>(new PosixFileLock(std::move(fd), /*has_pid=*/false));
  }
  const std::string pid = absl::StrCat(getpid(), "\n");
  (void)!ftruncate(fd.get(), 0);
  (void)!pwrite(fd.get(), pid.data(), pid.size(), 0);
  return std::unique_ptr<FileLock>(new PosixFileLock(std::move(fd), /*has_pid=*/true));
}

bool PosixFiles::Exists(const std::string& path) {
  return access(path.c_str(), F_OK) == 0;
}

absl::Status PosixFiles::Remove(const std::string& path) {
  return ErrnoToStatus(unlink(path.c_str()) == 0 ? 0 : errno,
                       absl::StrCat("remove ", path));
}

absl::Status PosixFiles::Rename(const std::string& from, const std::string& to) {
  const std::string doing = absl::StrCat("rename ", from, " to ", to);
  // Not at once with the renaming, which not every file system can: the store's lock
  // keeps others away.
  if (Exists(to)) return absl::AlreadyExistsError(absl::StrCat(doing, ": it is there already"));
  if (rename(from.c_str(), to.c_str()) != 0) return ErrnoToStatus(errno, doing);
  EDDY_RETURN_IF_ERROR(SyncDirectory(ParentOf(to)));
  return SyncDirectory(ParentOf(from));
}

absl::StatusOr<std::unique_ptr<Mapping>> PosixFiles::MapShared(
    const std::string& path, size_t bytes) {
  const std::string doing = absl::StrCat("map ", bytes, " bytes of ", path);
  if (bytes == 0) return absl::InvalidArgumentError(doing);
  Descriptor fd = Open(path, O_RDWR | O_CREAT);
  if (!fd.ok()) return ErrnoToStatus(errno, doing);
  const int locked = TryLock(fd.get());
  if (locked == EWOULDBLOCK) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is mapped already, by the copy of a store perhaps"));
  }
  if (locked != 0) return ErrnoToStatus(locked, doing);
  const off_t old_bytes = lseek(fd.get(), 0, SEEK_END);
  if (old_bytes < 0) return ErrnoToStatus(errno, doing);
  const int error = Allocate(fd.get(), bytes);
  if (error != 0) {
    // Gives back what was taken of a disk that is full.
    if (static_cast<uint64_t>(old_bytes) < bytes) {
      (void)!ftruncate(fd.get(), old_bytes);
    }
    return ErrnoToStatus(error, doing);
  }
  void* const data =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED) return ErrnoToStatus(errno, doing);
  return std::unique_ptr<Mapping>(new PosixMapping(data, bytes, std::move(fd)));
}

void PosixFiles::StartWriteBack(const std::string& path, uint64_t at, uint64_t bytes) {
#if defined(__linux__)
  const Descriptor fd = Open(path, O_WRONLY);
  if (!fd.ok()) return;
  (void)!sync_file_range(fd.get(), static_cast<off_t>(at), static_cast<off_t>(bytes),
                         SYNC_FILE_RANGE_WRITE);
#else
  Files::StartWriteBack(path, at, bytes);
#endif
}

absl::StatusOr<uint64_t> PosixFiles::Size(const std::string& path) {
  Info info;
  const int error = Stat(path, &info);
  if (error != 0) return ErrnoToStatus(error, absl::StrCat("size of ", path));
  return info.bytes;
}

absl::StatusOr<FreeSpace> PosixFiles::Free(const std::string& path) {
  struct statvfs info;
  int error = 0;
  do {
    error = statvfs(path.c_str(), &info) == 0 ? 0 : errno;
  } while (error == EINTR);
  if (error != 0) return ErrnoToStatus(error, absl::StrCat("free space of ", path));
  FreeSpace free;
  free.bytes = uint64_t{info.f_bavail} * info.f_frsize;
  // btrfs and others make inodes as they need them, and say there are none.
  free.inodes = info.f_files == 0 ? UINT64_MAX : info.f_favail;
  return free;
}

}  // namespace eddy
