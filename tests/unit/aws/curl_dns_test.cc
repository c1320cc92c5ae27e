// A resolver that does not answer. It is getaddrinfo, which has no timeout, so this
// program has one of its own, which hangs for one name until the test lets it go.
#include <curl/curl.h>
#include <dlfcn.h>
#include <netdb.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "eddy/http.h"
#include "eddy/platform.h"

namespace {

constexpr char kSilent[] = "no-answer.test";

std::mutex mu;
std::condition_variable moved;
bool is_released = false;
int hanging_count = 0;
int released_count = 0;

}  // namespace

// In the place of the system's, for libcurl too.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** result) {
  if (node != nullptr && std::string_view(node) == kSilent) {
    std::unique_lock<std::mutex> lock(mu);
    ++hanging_count;
    moved.notify_all();
    while (!is_released) moved.wait(lock);
    ++released_count;
    moved.notify_all();
    return EAI_AGAIN;
  }
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const Function next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return next(node, service, hints, result);
}

namespace eddy {
namespace {

#if LIBCURL_VERSION_NUM >= 0x075700
TEST_CASE("a name server that never answers delays a call by its timeout, no longer",
          "[http][curl][time]") {
  const auto transport = NewCurlTransport();
  REQUIRE(transport.ok());
  HttpRequest request;
  request.url = std::string("http://") + kSilent;
  request.connect_timeout = absl::Milliseconds(200);
  request.total_timeout = absl::Milliseconds(400);

  // Should the call wait for its resolver, this ends it, too late for the check below.
  std::thread rescue([] {
    std::unique_lock<std::mutex> lock(mu);
    moved.wait_for(lock, std::chrono::seconds(10), [] { return is_released; });
    is_released = true;
    moved.notify_all();
  });
  Clock& clock = *DefaultPlatform().clock;
  const absl::Duration before = clock.SinceBoot();
  const auto response = (*transport)->Send(request);
  const absl::Duration took = clock.SinceBoot() - before;
  CHECK(absl::IsUnavailable(response.status()));
  CHECK(took < absl::Seconds(5));
  {
    const std::lock_guard<std::mutex> lock(mu);
    CHECK(hanging_count == 1);
    is_released = true;
    moved.notify_all();
  }
  rescue.join();
  // Its thread outlives the call, and must not outlive the program's own end.
  std::unique_lock<std::mutex> lock(mu);
  moved.wait(lock, [] { return released_count == hanging_count; });
}
#endif

}  // namespace
}  // namespace eddy
