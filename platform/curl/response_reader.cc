#include "platform/curl/response_reader.h"

#include "absl/strings/ascii.h"
#include "src/base/strings.h"

namespace eddy {
namespace {

// 200 of "HTTP/1.1 200 OK"; 0 when there are no three digits.
int StatusOf(std::string_view line) {
  const size_t blank = line.find(' ');
  if (blank == std::string_view::npos) return 0;
  int status = 0;
  for (const char c : line.substr(blank + 1, 3)) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return 0;
    status = status * 10 + (c - '0');
  }
  return status >= 100 && status < 600 ? status : 0;
}

std::string Trimmed(std::string_view text) {
  return std::string(absl::StripAsciiWhitespace(AbslView(text)));
}

}  // namespace

bool ResponseReader::Count(size_t bytes) {
  bytes_ += bytes;
  if (bytes_ > bytes_max_) too_large_ = true;
  return !too_large_;
}

bool ResponseReader::OnHeaderLine(std::string_view line) {
  if (!Count(line.size())) return false;
  if (headers_complete_) return true;  // a trailer: nothing we know uses them
  // Cut inside a line, libcurl hands out what there is of it.
  if (line.empty() || line.back() != '\n') return true;
  if (line.substr(0, 5) == "HTTP/") {
    // The first answer, or the final one after 100 Continue.
    response_.headers.clear();
    response_.status = StatusOf(line);
    return true;
  }
  const std::string content = Trimmed(line);
  if (content.empty()) {
    headers_complete_ = response_.status >= 200;
    return true;
  }
  const size_t colon = content.find(':');
  if (line.front() == ' ' || line.front() == '\t') {
    if (!response_.headers.empty()) response_.headers.back().value += " " + content;
  } else if (colon != std::string::npos) {
    response_.headers.push_back({Trimmed(std::string_view(content).substr(0, colon)),
                                 Trimmed(std::string_view(content).substr(colon + 1))});
  }
  return true;
}

bool ResponseReader::OnBody(std::string_view piece) {
  if (!Count(piece.size())) return false;
  response_.body.append(piece);
  return true;
}

}  // namespace eddy
