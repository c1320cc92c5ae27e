// Text: what the commands print, for people and for scripts.
#ifndef EDDY_SRC_CLI_TEXT_H_
#define EDDY_SRC_CLI_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace eddy::cli {

// A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD; where
// they matter, see JsonBytes.
std::string JsonString(std::string_view text);

// A member of a JSON object for arbitrary bytes: "NAME":"text" if they are
// UTF-8, else "NAME_base64":"...".
std::string JsonBytes(std::string_view name, std::string_view bytes);

// On one line and without tabs: backslash, control characters and bytes that
// are not UTF-8 as in C ("\n", "\x1b").
std::string OneLine(std::string_view bytes);

std::string FormatTime(int64_t unix_ms);    // RFC 3339, UTC, milliseconds
std::string FormatBytes(uint64_t bytes);    // "1.5 MiB"

}  // namespace eddy::cli

#endif  // EDDY_SRC_CLI_TEXT_H_
