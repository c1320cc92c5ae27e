// The transport over libcurl against a server of raw bytes. Where time is the
// subject, the real clock runs, for a tenth of a second.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "eddy/http.h"
#include "tests/unit/aws/raw_server.h"

namespace eddy {
namespace {

using testing::RawServer;

std::string Ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// Answers every request of every connection with `answer`.
RawServer::Script Always(const std::string& answer) {
  return [answer](RawServer::Peer& peer) {
    while (!peer.ReadRequest().empty()) peer.Send(answer);
  };
}

HttpRequest Post(const std::string& url, const std::string& body = "{}") {
  HttpRequest request;
  request.url = url;
  request.body = body;
  return request;
}

std::unique_ptr<HttpTransport> Transport(const CurlTransportOptions& options = {}) {
  setenv("NO_PROXY", "*", 1);  // a proxy in the environment must not come between
  auto transport = NewCurlTransport(options);
  REQUIRE(transport.ok());
  return *std::move(transport);
}

TEST_CASE("an answer comes back whole", "[curl]") {
  RawServer server(Always(Ok(std::string("\0\xff{}\n", 5))));
  const auto response = Transport()->Send(Post(server.Url() + "/"));
  REQUIRE(response.ok());
  CHECK(response->status == 200);
  CHECK(response->body == std::string("\0\xff{}\n", 5));
  CHECK(response->round_trip > absl::ZeroDuration());
  CHECK(response->round_trip < absl::Seconds(30));
}

TEST_CASE("headers of an answer keep order and spelling, and are found without case", "[curl]") {
  RawServer server(Always("HTTP/1.1 400 Bad\r\nDate: d\r\nx-a:  1 \r\nX-A: 2\r\nEmpty:\r\n"
                          "Content-Length: 0\r\n\r\n"));
  const auto response = Transport()->Send(Post(server.Url()));
  REQUIRE(response.ok());
  CHECK(response->status == 400);
  REQUIRE(response->headers.size() == 5);
  CHECK(response->headers[1].name == "x-a");
  CHECK(response->headers[1].value == "1");
  CHECK(response->Header("X-a") == "1");
  CHECK(response->Header("dAte") == "d");
  CHECK(response->Header("empty") == "");
  CHECK(response->Header("absent") == "");
}

TEST_CASE("a request is sent as given and with nothing added", "[curl]") {
  RawServer server(Always(Ok("{}")));
  HttpRequest request = Post(server.Url() + "/a/../b//c?x=%7e+1", "body\r\n\r\n");
  request.headers = {{"Host", "signed.example"}, {"X-Amz-Date", "20260101T000000Z"},
                     {"X-Amz-Date-2", "z"}, {"X-Empty", ""}, {"Authorization", "AWS4 a, b=c"}};
  REQUIRE(Transport()->Send(request).ok());
  CHECK(server.requests().at(0) ==
        "POST /a/../b//c?x=%7e+1 HTTP/1.1\r\n"
        "Host: signed.example\r\n"
        "X-Amz-Date: 20260101T000000Z\r\n"
        "X-Amz-Date-2: z\r\n"
        "X-Empty:\r\n"
        "Authorization: AWS4 a, b=c\r\n"
        "Content-Length: 8\r\n"
        "\r\n"
        "body\r\n\r\n");
}

TEST_CASE("a large body is sent at once, without asking for leave", "[curl]") {
  RawServer server(Always(Ok("{}")));
  const std::string body(3 << 20, 'x');
  REQUIRE(Transport()->Send(Post(server.Url(), body)).ok());
  const std::string sent = server.requests().at(0);
  CHECK(sent.find("Expect") == std::string::npos);
  CHECK(sent.size() > body.size());
  CHECK(sent.compare(sent.size() - body.size(), body.size(), body) == 0);
}

TEST_CASE("methods other than POST work, with a body and without", "[curl]") {
  RawServer server(Always(Ok("{}")));
  const auto transport = Transport();
  for (const char* method : {"GET", "PUT", "DELETE"}) {
    HttpRequest request = Post(server.Url(), method == std::string("PUT") ? "b" : "");
    request.method = method;
    REQUIRE(transport->Send(request).ok());
    CHECK(server.requests().back().find(std::string(method) + " / HTTP/1.1\r\n") == 0);
  }
  CHECK(server.requests()[0].find("Content-Length") == std::string::npos);
}

TEST_CASE("a connection is kept for the next request", "[curl]") {
  RawServer server(Always(Ok("{}")));
  const auto transport = Transport();
  for (int i = 0; i < 5; ++i) REQUIRE(transport->Send(Post(server.Url())).ok());
  CHECK(server.connections() == 1);
}

TEST_CASE("a kept connection that the server closed is replaced", "[curl]") {
  RawServer server([](RawServer::Peer& peer) {
    peer.ReadRequest();
    peer.Send(Ok("{}"));
  });
  const auto transport = Transport();
  for (int i = 1; i <= 3; ++i) {
    REQUIRE(transport->Send(Post(server.Url())).ok());
    server.AwaitClosed(i);
  }
  CHECK(server.connections() == 3);
}

TEST_CASE("a request lost with a kept connection is unknown, not sent again", "[curl][fault]") {
  for (const bool reset : {false, true}) {
    // Answers the first request, reads the second, and dies.
    RawServer server([reset](RawServer::Peer& peer) {
      peer.ReadRequest();
      peer.Send(Ok("{}"));
      peer.ReadRequest();
      if (reset) peer.Reset();
    });
    const auto transport = Transport();
    REQUIRE(transport->Send(Post(server.Url(), "first")).ok());
    const auto second = transport->Send(Post(server.Url(), "second"));
    INFO(second.status());
    CHECK(absl::IsUnknown(second.status()));
    CHECK(server.requests().size() == 2);
    // And the transport is as good as new.
    CHECK(transport->Send(Post(server.Url(), "third")).ok());
  }
}

TEST_CASE("a redirect is an answer like another", "[curl]") {
  RawServer server(
      Always("HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"));
  const auto response = Transport()->Send(Post(server.Url()));
  REQUIRE(response.ok());
  CHECK(response->status == 307);
  CHECK(server.requests().size() == 1);
}

TEST_CASE("an answer is bounded", "[curl]") {
  CurlTransportOptions options;
  options.response_bytes_max = 1000;
  const auto transport = Transport(options);
  SECTION("in its body") {
    RawServer server(Always(Ok(std::string(2000, 'x'))));
    CHECK(absl::IsUnknown(transport->Send(Post(server.Url())).status()));
  }
  SECTION("in its headers") {
    RawServer server(Always("HTTP/1.1 200 OK\r\nX: " + std::string(2000, 'x') +
                            "\r\nContent-Length: 0\r\n\r\n"));
    CHECK(absl::IsUnknown(transport->Send(Post(server.Url())).status()));
  }
  SECTION("just below it, it passes") {
    RawServer server(Always(Ok(std::string(900, 'x'))));
    CHECK(transport->Send(Post(server.Url())).ok());
  }
}

TEST_CASE("a server that cannot be reached has seen nothing", "[curl][fault]") {
  const auto transport = Transport();
  RawServer plain(Always(Ok("{}")));
  SECTION("nothing listens") {
    const std::string port = std::to_string(RawServer::UnusedPort());
    CHECK(absl::IsUnavailable(transport->Send(Post("http://127.0.0.1:" + port)).status()));
  }
  SECTION("its name does not resolve") {
    HttpRequest request = Post("http://eddy.invalid/");
    request.connect_timeout = absl::Seconds(2);
    CHECK(absl::IsUnavailable(transport->Send(request).status()));
  }
  SECTION("it speaks no TLS") {
    RawServer rude([](RawServer::Peer& peer) {
      peer.Send("220 no TLS here\r\n");
      peer.AwaitHangup();
    });
    CHECK(absl::IsUnavailable(transport->Send(Post(rude.Url("https"))).status()));
  }
  SECTION("the interface does not exist") {
    CurlTransportOptions options;
    options.interface = "wwan-none0";
    CHECK(absl::IsUnavailable(Transport(options)->Send(Post(plain.Url())).status()));
  }
}

TEST_CASE("a connection that is not accepted in time has seen nothing", "[curl][fault]") {
  // A listener whose queue is full: the kernel drops what comes after.
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  REQUIRE(listen(listener, 0) == 0);
  std::vector<int> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)connect(waiting.back(), reinterpret_cast<sockaddr*>(&address), size);
  }
  HttpRequest request = Post("http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
  request.connect_timeout = absl::Milliseconds(100);
  CHECK(absl::IsUnavailable(Transport()->Send(request).status()));
  request.connect_timeout = absl::Seconds(10);
  request.total_timeout = absl::Milliseconds(100);
  CHECK(absl::IsUnavailable(Transport()->Send(request).status()));
  for (const int fd : waiting) close(fd);
  close(listener);
}

TEST_CASE("an answer that does not come, or not to its end, is out of time", "[curl][fault]") {
  const std::string answer = Ok("{\"a\":1}");
  for (const size_t bytes : {size_t{0}, size_t{5}, size_t{20}, answer.size() - 1}) {
    RawServer server([&](RawServer::Peer& peer) {
      peer.ReadRequest();
      peer.Send(std::string_view(answer).substr(0, bytes));
      peer.AwaitHangup();
    });
    HttpRequest request = Post(server.Url());
    request.total_timeout = absl::Milliseconds(100);
    CHECK(absl::IsDeadlineExceeded(Transport()->Send(request).status()));
  }
}

TEST_CASE("no timeout is without end", "[curl]") {
  RawServer server([](RawServer::Peer& peer) {
    peer.ReadRequest();
    peer.AwaitHangup();
  });
  for (const absl::Duration timeout : {absl::ZeroDuration(), -absl::Seconds(1)}) {
    HttpRequest request = Post(server.Url());
    request.total_timeout = timeout;
    const absl::Status status = Transport()->Send(request).status();
    CHECK((absl::IsDeadlineExceeded(status) || absl::IsUnavailable(status)));
  }
  HttpRequest request = Post("http://127.0.0.1:" + std::to_string(RawServer::UnusedPort()));
  request.connect_timeout = absl::InfiniteDuration();
  request.total_timeout = absl::InfiniteDuration();
  CHECK(absl::IsUnavailable(Transport()->Send(request).status()));
}

TEST_CASE("a URL that cannot be sent to is refused", "[curl]") {
  const auto transport = Transport();
  for (const char* url : {"", "/", "127.0.0.1:1/", "ftp://127.0.0.1/", "file:///etc/passwd",
                          "http://", "http:///", "http://u:p@127.0.0.1/", "http://127.0.0.1:x/",
                          "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y"}) {
    INFO(url);
    CHECK(absl::IsInvalidArgument(transport->Send(Post(url)).status()));
  }
}

TEST_CASE("a method or a header that would change the request is refused", "[curl]") {
  HttpRequest request = Post("http://127.0.0.1/");
  SECTION("a method with a blank") { request.method = "GET /x"; }
  SECTION("no method") { request.method = ""; }
  SECTION("a header with a line break") { request.headers = {{"A", "b\r\nC: d"}}; }
  SECTION("a header with a NUL") { request.headers = {{"A", std::string("b\0c", 3)}}; }
  SECTION("a header without a name") { request.headers = {{"", "b"}}; }
  SECTION("a header with a colon in its name") { request.headers = {{"A:", "b"}}; }
  CHECK(absl::IsInvalidArgument(Transport()->Send(request).status()));
}

TEST_CASE("an error names the host and no more of the URL", "[curl]") {
  const std::string port = std::to_string(RawServer::UnusedPort());
  const std::string message(
      Transport()->Send(Post("http://127.0.0.1:" + port + "/path?q=secret")).status().message());
  CHECK(message.find("POST http://127.0.0.1:" + port + ": ") == 0);
  CHECK(message.find("secret") == std::string::npos);
}

TEST_CASE("calls run in parallel, each on a connection of its own", "[curl]") {
  constexpr size_t kThreads = 6;
  RawServer server([](RawServer::Peer& peer) {
    for (std::string request; !(request = peer.ReadRequest()).empty();) {
      peer.Send(Ok(request.substr(request.find("\r\n\r\n") + 4)));
    }
  });
  const auto transport = Transport();
  std::vector<int> right(kThreads);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const std::string body = std::to_string(t) + "-" + std::to_string(i);
        const auto response = transport->Send(Post(server.Url(), body));
        if (response.ok() && response->body == body) ++right[t];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == std::vector<int>(kThreads, 20));
  CHECK(server.connections() <= static_cast<int>(kThreads));
}

TEST_CASE("more calls at once than handles are kept for work, too", "[curl]") {
  constexpr int kCalls = 12;
  std::mutex mu;
  std::condition_variable all_there;
  int waiting = 0;
  // Answers nobody until everybody has asked.
  RawServer server([&](RawServer::Peer& peer) {
    while (!peer.ReadRequest().empty()) {
      std::unique_lock<std::mutex> lock(mu);
      ++waiting;
      all_there.notify_all();
      all_there.wait(lock, [&] { return waiting >= kCalls; });
      lock.unlock();
      peer.Send(Ok("{}"));
    }
  });
  const auto transport = Transport();
  std::vector<int> ok(kCalls);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kCalls; ++t) {
    threads.emplace_back([&, t] { ok[t] = transport->Send(Post(server.Url())).ok(); });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(ok == std::vector<int>(kCalls, 1));
}

}  // namespace
}  // namespace eddy
