// Hex and percent-encoding as the services spell them. Pure.
#ifndef EDDY_SRC_AWS_TEXT_H_
#define EDDY_SRC_AWS_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace eddy::aws {

// Lower case.
template <typename Bytes>
std::string Hex(const Bytes& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

// RFC 3986: everything but A-Za-z0-9-_.~ becomes %XX; with `keep_slash` '/' stays.
std::string PercentEncode(std::string_view text, bool keep_slash = false);
// "%XX" becomes its byte; a '%' that is no such triple stays, and so does '+'.
std::string PercentDecode(std::string_view text);

}  // namespace eddy::aws

#endif  // EDDY_SRC_AWS_TEXT_H_
