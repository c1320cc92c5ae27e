// Numbers to bytes and back, in the machine's order, for the small formats of
// this room. A reader that runs past the end says so once, at the end.
#ifndef EDDY_SRC_QUEUE_BYTE_IO_H_
#define EDDY_SRC_QUEUE_BYTE_IO_H_

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace eddy::queue {

template <typename T>
void PutNumber(std::string* to, T value) {
  static_assert(std::is_integral_v<T>);
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  to->append(bytes, sizeof(T));
}

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : left_(bytes) {}

  template <typename T>
  T Number() {
    static_assert(std::is_integral_v<T>);
    T value = 0;
    const std::string_view bytes = Bytes(sizeof(T));
    if (ok_) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  std::string_view Bytes(size_t count) {
    if (count > left_.size()) {
      ok_ = false;
      left_ = {};
      return {};
    }
    const std::string_view bytes = left_.substr(0, count);
    left_.remove_prefix(count);
    return bytes;
  }

  std::string_view left() const { return left_; }
  bool ok() const { return ok_; }

 private:
  std::string_view left_;
  bool ok_ = true;
};

}  // namespace eddy::queue

#endif  // EDDY_SRC_QUEUE_BYTE_IO_H_
