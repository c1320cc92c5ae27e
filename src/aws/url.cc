#include "src/aws/url.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/strings.h"

namespace eddy::aws {
namespace {

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool IsScheme(std::string_view given, std::string_view scheme) {
  return absl::EqualsIgnoreCase(AbslView(given), AbslView(scheme));
}

// "host", "host:8080", "[::1]:8080". What a name may be is the resolver's matter.
bool IsAuthority(std::string_view authority) {
  std::string_view host = authority;
  const size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && !EndsWith(authority, "]")) {
    const std::string_view port = authority.substr(colon + 1);
    if (port.empty() || port.size() > 5) return false;
    for (const char c : port) {
      if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
    }
    host = authority.substr(0, colon);
  }
  return !host.empty() && host.find_first_of("@ ") == std::string_view::npos;
}

}  // namespace

std::string_view Url::Host() const {
  const std::string_view port = scheme == "https" ? ":443" : ":80";
  return EndsWith(authority, port) ? authority.substr(0, authority.size() - port.size())
                                   : authority;
}

absl::StatusOr<Url> ParseUrl(std::string_view text) {
  const auto refuse = [text](const char* why) {
    return absl::InvalidArgumentError(absl::StrCat("URL \"", AbslView(text), "\": ", why));
  };
  for (const char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      // Not quoted: it might end a line in somebody's log.
      return absl::InvalidArgumentError("a URL holds a control character");
    }
  }
  Url url;
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos) return refuse("not absolute");
  url.scheme = IsScheme(text.substr(0, colon), "https")  ? "https"
               : IsScheme(text.substr(0, colon), "http") ? "http"
                                                         : "";
  if (url.scheme.empty()) return refuse("neither http nor https");
  if (text.find('#') != std::string_view::npos) return refuse("has a fragment");

  text.remove_prefix(colon + 3);
  const size_t authority_bytes = text.find_first_of("/?");
  url.authority = text.substr(0, authority_bytes);
  if (!IsAuthority(url.authority)) return refuse("its host is missing or malformed");
  text.remove_prefix(url.authority.size());

  const size_t path_bytes = text.find('?');
  url.path = text.substr(0, path_bytes);
  if (path_bytes != std::string_view::npos) url.query = text.substr(path_bytes + 1);
  return url;
}

}  // namespace eddy::aws
