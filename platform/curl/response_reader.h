// Puts an answer together from the lines and pieces that libcurl hands out, and
// knows whether it was all there.
//
// libcurl reports success for an answer that ends inside its header block: the
// status line was good, the rest is missing. So the end of the block, an empty
// line after a final (not 1xx) status, is looked for here.
//
// A chunked answer that lacks nothing but its very last LF counts as whole: the
// chunk of size 0 that ends the body is there.
//
// An answer without a length that is not chunked ends where its connection ends;
// cut, it looks whole. Nothing here can tell. The services always give a length,
// and the JSON that their answers hold does not parse when its end is missing.
#ifndef EDDY_PLATFORM_CURL_RESPONSE_READER_H_
#define EDDY_PLATFORM_CURL_RESPONSE_READER_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "eddy/http.h"

namespace eddy {

// Threads: none.
class ResponseReader {
 public:
  // Bounds header block and body together.
  explicit ResponseReader(size_t bytes_max) : bytes_max_(bytes_max) {}

  // Both return false to end the transfer: the answer is too large.
  bool OnHeaderLine(std::string_view line);
  bool OnBody(std::string_view piece);

  bool headers_complete() const { return headers_complete_; }
  bool too_large() const { return too_large_; }
  HttpResponse& response() { return response_; }

 private:
  bool Count(size_t bytes);

  const size_t bytes_max_;
  size_t bytes_ = 0;
  bool too_large_ = false;
  bool headers_complete_ = false;
  HttpResponse response_;
};

}  // namespace eddy

#endif  // EDDY_PLATFORM_CURL_RESPONSE_READER_H_
