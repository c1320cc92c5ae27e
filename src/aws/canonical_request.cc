#include "src/aws/canonical_request.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "src/aws/text.h"
#include "src/base/strings.h"

namespace eddy::aws {
namespace {

// What lies between two separators, the text shortened to what follows.
std::string_view TakeUntil(char separator, std::string_view* text) {
  const size_t end = text->find(separator);
  const std::string_view part = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return part;
}

bool IsSigned(std::string_view name) {
  constexpr std::string_view kUnsigned[] = {
      "authorization", "connection", "expect",     "keep-alive", "te",
      "trailer",       "upgrade",    "user-agent", "transfer-encoding",
      "x-amzn-trace-id"};
  constexpr std::string_view kProxy = "proxy-";
  return std::find(std::begin(kUnsigned), std::end(kUnsigned), name) == std::end(kUnsigned) &&
         name.substr(0, kProxy.size()) != kProxy;
}

void AppendCollapsed(std::string_view value, std::string* out) {
  bool blank_due = false;
  bool any = false;
  for (const char c : value) {
    if (c == ' ' || c == '\t') {
      blank_due = any;
      continue;
    }
    if (blank_due) out->push_back(' ');
    blank_due = false;
    any = true;
    out->push_back(c);
  }
}

}  // namespace

std::string CanonicalPath(std::string_view path, bool normalize) {
  if (path.empty()) return "/";
  if (!normalize) return PercentEncode(path, /*keep_slash=*/true);
  const bool ends_with_slash = path.back() == '/';
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    const std::string_view segment = TakeUntil('/', &path);
    if (segment.empty() || segment == ".") continue;
    if (segment != "..") {
      segments.push_back(segment);
    } else if (!segments.empty()) {
      segments.pop_back();
    }
  }
  std::string canonical;
  for (const std::string_view segment : segments) {
    canonical.push_back('/');
    canonical.append(PercentEncode(segment));
  }
  if (ends_with_slash || canonical.empty()) canonical.push_back('/');
  return canonical;
}

std::string CanonicalQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  while (!query.empty()) {
    std::string_view value = TakeUntil('&', &query);
    if (value.empty()) continue;
    const std::string_view name = TakeUntil('=', &value);
    parameters.emplace_back(PercentEncode(PercentDecode(name)),
                            PercentEncode(PercentDecode(value)));
  }
  std::sort(parameters.begin(), parameters.end());
  std::string canonical;
  for (const auto& [name, value] : parameters) {
    if (!canonical.empty()) canonical.push_back('&');
    canonical.append(name).append("=").append(value);
  }
  return canonical;
}

CanonicalHeaders CanonicaliseHeaders(const std::vector<HttpHeader>& headers) {
  std::map<std::string, std::string> values;
  for (const HttpHeader& header : headers) {
    std::string name = absl::AsciiStrToLower(header.name);
    if (!IsSigned(name)) continue;
    const auto [value, is_new] = values.try_emplace(std::move(name));
    if (!is_new) value->second.push_back(',');
    AppendCollapsed(header.value, &value->second);
  }
  CanonicalHeaders canonical;
  for (const auto& [name, value] : values) {
    canonical.lines.append(name).append(":").append(value).append("\n");
    if (!canonical.names.empty()) canonical.names.push_back(';');
    canonical.names.append(name);
  }
  return canonical;
}

}  // namespace eddy::aws
