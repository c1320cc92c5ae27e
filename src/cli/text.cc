#include "src/cli/text.h"

#include <cstdio>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "src/base/strings.h"
#include "src/base/utf8.h"

namespace eddy::cli {

namespace {

// The length of the character that `bytes` begins with; 0: there is none.
size_t Utf8Length(std::string_view bytes) {
  std::string_view rest = bytes;
  return TakeCharacter(&rest) ? bytes.size() - rest.size() : 0;
}

}  // namespace

std::string JsonString(std::string_view text) {
  std::string json = "\"";
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const unsigned char c = static_cast<unsigned char>(text[0]);
    if (length == 0) {
      json += "\xef\xbf\xbd";
    } else if (c == '"' || c == '\\') {
      json += '\\';
      json += text[0];
    } else if (c < 0x20) {
      json += absl::StrFormat("\\u%04x", c);
    } else {
      json += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return json + "\"";
}

std::string JsonBytes(std::string_view name, std::string_view bytes) {
  for (std::string_view rest = bytes; !rest.empty();) {
    const size_t length = Utf8Length(rest);
    if (length == 0) {
      return absl::StrCat("\"", AbslView(name), "_base64\":\"",
                          absl::Base64Escape(AbslView(bytes)), "\"");
    }
    rest.remove_prefix(length);
  }
  return absl::StrCat("\"", AbslView(name), "\":", JsonString(bytes));
}

std::string OneLine(std::string_view bytes) {
  std::string line;
  while (!bytes.empty()) {
    const size_t length = Utf8Length(bytes);
    const unsigned char c = static_cast<unsigned char>(bytes[0]);
    if (c == '\\') {
      line += "\\\\";
    } else if (c == '\n') {
      line += "\\n";
    } else if (c == '\t') {
      line += "\\t";
    } else if (length == 0 || c < 0x20 || c == 0x7f) {
      line += absl::StrFormat("\\x%02x", c);
    } else {
      line += bytes.substr(0, length);
    }
    bytes.remove_prefix(length == 0 ? 1 : length);
  }
  return line;
}

std::string FormatTime(int64_t unix_ms) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromUnixMillis(unix_ms),
                          absl::UTCTimeZone());
}

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  double size = static_cast<double>(bytes) / 1024;
  const char* unit = "KiB";
  for (const char* next : {"MiB", "GiB", "TiB"}) {
    if (size < 1024) break;
    size /= 1024;
    unit = next;
  }
  return absl::StrFormat("%.1f %s", size, unit);
}

}  // namespace eddy::cli
