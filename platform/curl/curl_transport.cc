// HttpTransport over libcurl: a pool of easy handles, one to a call under way,
// each with its own kept connections.
//
// libcurl is kept from being helpful, because its help would break H1 and H2:
//   - It sends a request again by itself when a kept connection dies before an
//     answer begins. The server may have carried it out, so we end the transfer
//     when it is about to be sent a second time (BeforeSending).
//   - It follows no redirect, adds no Expect, Accept or Content-Type, keeps the
//     path as it is, and speaks HTTP/1.1 only (HTTP/2 has retries of its own).
//   - It calls an answer cut inside its headers a success (response_reader.h).
//   - HTTP/0.9 is off: there, any bytes at all are an answer.
//   - Its resolver is a thread in getaddrinfo, which has no timeout, and libcurl would
//     wait for it beyond any timeout of ours: where it can, it lets the thread go
//     (CURLOPT_QUICK_EXIT). Before 7.87.0 a name server that never answers delays a
//     call as long as the system's resolver takes.
#include <curl/curl.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "eddy/http.h"
#include "platform/curl/curl_error.h"
#include "platform/curl/response_reader.h"
#include "platform/curl/sigpipe_block.h"
#include "src/base/status.h"
#include "src/base/strings.h"

namespace eddy {
namespace {

// More calls than this at once get a handle of their own, thrown away after.
constexpr size_t kIdleHandlesMax = 8;
constexpr long kLowSpeedBytes = 1;  // a second,
constexpr long kLowSpeedSeconds = 20;
constexpr absl::Duration kTimeoutMax = absl::Hours(24);

struct HandleDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
using Handle = std::unique_ptr<CURL, HandleDeleter>;

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

// Once a process: the first caller does it, the others wait. There is no
// counterpart at exit, since others in the process may use libcurl, too.
CURLcode GlobalInit() {
  static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
  return result;
}

// 0 would mean "no bound" to libcurl.
long Milliseconds(absl::Duration timeout) {
  const absl::Duration bounded = std::clamp(timeout, absl::Milliseconds(1), kTimeoutMax);
  return static_cast<long>(absl::ToInt64Milliseconds(bounded));
}

// One call under way, as the callbacks see it.
struct Transfer {
  explicit Transfer(size_t response_bytes_max) : reader(response_bytes_max) {}
  ResponseReader reader;
  int sendings = 0;  // times the request was about to be sent
};

size_t OnHeader(char* line, size_t size, size_t count, void* transfer) {
  const size_t bytes = size * count;
  return static_cast<Transfer*>(transfer)->reader.OnHeaderLine({line, bytes}) ? bytes : 0;
}

size_t OnBody(char* piece, size_t size, size_t count, void* transfer) {
  const size_t bytes = size * count;
  return static_cast<Transfer*>(transfer)->reader.OnBody({piece, bytes}) ? bytes : 0;
}

int BeforeSending(void* transfer, char*, char*, int, int) {
  return ++static_cast<Transfer*>(transfer)->sendings == 1 ? CURL_PREREQFUNC_OK
                                                           : CURL_PREREQFUNC_ABORT;
}

bool IsToken(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != ':';
  });
}

// "https://host" of the URL: enough to know in an error, and free of anything
// that a caller may have put into path or query.
std::string Doing(const HttpRequest& request) {
  const size_t scheme = request.url.find("://");
  const size_t end = scheme == std::string::npos ? 0 : request.url.find_first_of("/?", scheme + 3);
  return absl::StrCat(request.method, " ", AbslView(std::string_view(request.url).substr(0, end)));
}

absl::Status CheckRequest(const HttpRequest& request) {
  // libcurl would guess a scheme where there is none, and take a user's name out
  // of the URL into a header.
  const bool has_scheme = absl::StartsWithIgnoreCase(request.url, "http://") ||
                          absl::StartsWithIgnoreCase(request.url, "https://");
  if (!has_scheme) return absl::InvalidArgumentError("the URL is neither http:// nor https://");
  const std::string_view url = request.url;
  const size_t host = url.find("://") + 3;
  const std::string_view authority = url.substr(host, url.find_first_of("/?#", host) - host);
  if (authority.empty() || authority.find('@') != std::string_view::npos) {
    return absl::InvalidArgumentError("the URL has no host, or a user name");
  }
  if (!IsToken(request.method)) {
    return absl::InvalidArgumentError("the method is empty or has a blank in it");
  }
  for (const char c : url) {
    if (c == ' ' || absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError("the URL has a blank or a control character in it");
    }
  }
  for (const HttpHeader& header : request.headers) {
    if (!IsToken(header.name) ||
        header.value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return absl::InvalidArgumentError("a header has no name, or a line break in it");
    }
  }
  return absl::OkStatus();
}

// The headers as given, and for those that libcurl would add by itself the form
// that says not to. Null when there is no memory.
HeaderList MakeHeaders(const std::vector<HttpHeader>& headers) {
  std::vector<std::string> lines;
  for (const HttpHeader& header : headers) {
    // "Name;" is libcurl's spelling of a header with an empty value.
    lines.push_back(header.value.empty() ? absl::StrCat(header.name, ";")
                                         : absl::StrCat(header.name, ": ", header.value));
  }
  for (const char* added : {"Accept", "Content-Type", "Expect", "User-Agent"}) {
    const bool given = std::any_of(headers.begin(), headers.end(), [added](const HttpHeader& h) {
      return absl::EqualsIgnoreCase(h.name, added);
    });
    if (!given) lines.push_back(absl::StrCat(added, ":"));
  }
  HeaderList list;
  for (const std::string& line : lines) {
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) return nullptr;
    (void)list.release();  // `longer` begins with it
    list.reset(longer);
  }
  return list;
}

// Remembers the first error of a row of settings.
class Settings {
 public:
  explicit Settings(CURL* handle) : handle_(handle) {}
  template <typename Value>
  void Set(CURLoption option, Value value) {
    if (result_ == CURLE_OK) result_ = curl_easy_setopt(handle_, option, value);
  }
  CURLcode result() const { return result_; }

 private:
  CURL* const handle_;
  CURLcode result_ = CURLE_OK;
};

class CurlTransport final : public HttpTransport {
 public:
  explicit CurlTransport(const CurlTransportOptions& options) : options_(options) {}
  ~CurlTransport() override {
    const SigpipeBlock block;  // closing TLS says good-bye on the socket
    absl::MutexLock lock(&mu_);
    idle_.clear();
  }

  absl::StatusOr<HttpResponse> Send(const HttpRequest& request) override;

 private:
  Handle TakeHandle() ABSL_LOCKS_EXCLUDED(mu_);
  void KeepHandle(Handle handle) ABSL_LOCKS_EXCLUDED(mu_);
  CURLcode Configure(CURL* handle, const HttpRequest& request, curl_slist* headers,
                     char* error_text, Transfer* transfer) const;

  const CurlTransportOptions options_;

  absl::Mutex mu_;
  std::vector<Handle> idle_ ABSL_GUARDED_BY(mu_);  // the last used is taken first
};

absl::StatusOr<HttpResponse> CurlTransport::Send(const HttpRequest& request) {
  EDDY_RETURN_IF_ERROR(CheckRequest(request));
  const std::string doing = Doing(request);
  const SigpipeBlock block;
  Handle handle = TakeHandle();
  const HeaderList headers = MakeHeaders(request.headers);
  if (handle == nullptr || headers == nullptr) {
    return CurlToStatus(CURLE_OUT_OF_MEMORY, /*sending=*/false, "", doing);
  }
  char error_text[CURL_ERROR_SIZE] = "";
  Transfer transfer(options_.response_bytes_max);
  const CURLcode configured =
      Configure(handle.get(), request, headers.get(), error_text, &transfer);
  if (configured != CURLE_OK) return CurlToStatus(configured, false, error_text, doing);

  const CURLcode result = curl_easy_perform(handle.get());
  curl_off_t round_trip_us = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_TOTAL_TIME_T, &round_trip_us);
  curl_easy_reset(handle.get());  // drops the pointers to our stack, keeps connections
  KeepHandle(std::move(handle));

  if (transfer.reader.too_large()) {
    return absl::UnknownError(absl::StrCat(doing, ": an answer of more than ",
                                           options_.response_bytes_max, " bytes"));
  }
  if (transfer.sendings > 1) {
    return absl::UnknownError(absl::StrCat(
        doing, ": the kept connection closed after the request was sent, before an answer"));
  }
  if (result != CURLE_OK) {
    return CurlToStatus(result, transfer.sendings > 0, error_text, doing);
  }
  if (!transfer.reader.headers_complete()) {
    return absl::UnknownError(absl::StrCat(doing, ": the answer ends inside its headers"));
  }
  HttpResponse response = std::move(transfer.reader.response());
  response.round_trip = absl::Microseconds(round_trip_us);
  return response;
}

CURLcode CurlTransport::Configure(CURL* handle, const HttpRequest& request, curl_slist* headers,
                                  char* error_text, Transfer* transfer) const {
  Settings settings(handle);
  settings.Set(CURLOPT_ERRORBUFFER, error_text);
  settings.Set(CURLOPT_NOSIGNAL, 1L);
  settings.Set(CURLOPT_URL, request.url.c_str());
#if LIBCURL_VERSION_NUM >= 0x075500
  settings.Set(CURLOPT_PROTOCOLS_STR, "http,https");
#else
  settings.Set(CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  settings.Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  settings.Set(CURLOPT_HTTP09_ALLOWED, 0L);
  settings.Set(CURLOPT_FOLLOWLOCATION, 0L);
  settings.Set(CURLOPT_PATH_AS_IS, 1L);
  settings.Set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);

  if (request.method == "HEAD") {
    settings.Set(CURLOPT_NOBODY, 1L);
  } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    settings.Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    settings.Set(CURLOPT_POSTFIELDS, request.body.data());  // not copied
  }
  settings.Set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  settings.Set(CURLOPT_HTTPHEADER, headers);

  settings.Set(CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(request.connect_timeout));
  settings.Set(CURLOPT_TIMEOUT_MS, Milliseconds(request.total_timeout));
#if LIBCURL_VERSION_NUM >= 0x075700
  settings.Set(CURLOPT_QUICK_EXIT, 1L);
#endif
  settings.Set(CURLOPT_LOW_SPEED_LIMIT, kLowSpeedBytes);
  settings.Set(CURLOPT_LOW_SPEED_TIME, kLowSpeedSeconds);

  settings.Set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  settings.Set(CURLOPT_SSL_VERIFYPEER, 1L);
  settings.Set(CURLOPT_SSL_VERIFYHOST, 2L);
  if (!options_.ca_file.empty()) settings.Set(CURLOPT_CAINFO, options_.ca_file.c_str());
  if (!options_.interface.empty()) settings.Set(CURLOPT_INTERFACE, options_.interface.c_str());

  settings.Set(CURLOPT_HEADERFUNCTION, &OnHeader);
  settings.Set(CURLOPT_HEADERDATA, transfer);
  settings.Set(CURLOPT_WRITEFUNCTION, &OnBody);
  settings.Set(CURLOPT_WRITEDATA, transfer);
  settings.Set(CURLOPT_PREREQFUNCTION, &BeforeSending);
  settings.Set(CURLOPT_PREREQDATA, transfer);
  return settings.result();
}

Handle CurlTransport::TakeHandle() {
  {
    absl::MutexLock lock(&mu_);
    if (!idle_.empty()) {
      Handle handle = std::move(idle_.back());
      idle_.pop_back();
      return handle;
    }
  }
  return Handle(curl_easy_init());
}

void CurlTransport::KeepHandle(Handle handle) {
  absl::MutexLock lock(&mu_);
  if (idle_.size() < kIdleHandlesMax) idle_.push_back(std::move(handle));
  // Else `handle`, a parameter, is closed by the caller, after the lock.
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpTransport>> NewCurlTransport(
    const CurlTransportOptions& options) {
  const CURLcode result = GlobalInit();
  if (result != CURLE_OK) {
    return absl::InternalError(
        absl::StrCat("libcurl cannot be initialised: ", curl_easy_strerror(result)));
  }
  return std::unique_ptr<HttpTransport>(std::make_unique<CurlTransport>(options));
}

}  // namespace eddy
