#include "tests/unit/aws/raw_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "src/base/status.h"

namespace eddy::testing {
namespace {

// A socket bound to a free port of the loopback interface.
int Bound(int* port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EDDY_CHECK(fd >= 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EDDY_CHECK(bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  EDDY_CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  *port = ntohs(address.sin_port);
  return fd;
}

// Bytes of the first request in `text`, 0 while it is not whole.
size_t RequestBytes(const std::string& text) {
  const size_t end = text.find("\r\n\r\n");
  if (end == std::string::npos) return 0;
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  const size_t length = text.find(kLength);
  const size_t body =
      length < end ? std::strtoul(text.c_str() + length + kLength.size(), nullptr, 10) : 0;
  const size_t whole = end + 4 + body;
  return text.size() >= whole ? whole : 0;
}

}  // namespace

RawServer::RawServer(Script script) : script_(std::move(script)) {
  // A proxy in the environment must not come between.
  setenv("NO_PROXY", "*", 1);
  listener_ = Bound(&port_);
  EDDY_CHECK(listen(listener_, 64) == 0);
  acceptor_ = std::thread([this] { Accept(); });
}

RawServer::~RawServer() {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    stopping_ = true;
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  shutdown(listener_, SHUT_RDWR);  // ends accept()
  acceptor_.join();
  for (std::thread& peer : peers_) peer.join();
  close(listener_);
}

void RawServer::Accept() {
  for (int index = 0;; ++index) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard<std::mutex> lock(mu_);
    if (fd >= 0) open_.push_back(fd);
    if (stopping_ || fd < 0) {
      if (fd >= 0) close(fd);
      return;
    }
    peers_.emplace_back([this, fd, index] { Run(fd, index); });
  }
}

void RawServer::Run(int socket, int index) {
  Peer peer(this, socket, index);
  script_(peer);
  const std::lock_guard<std::mutex> lock(mu_);
  open_.erase(std::find(open_.begin(), open_.end(), socket));
  close(socket);
  ++closed_;
  changed_.notify_all();
}

std::string RawServer::Peer::ReadRequest() {
  char buffer[4096];
  size_t whole;
  while ((whole = RequestBytes(unread_)) == 0) {
    const ssize_t got = recv(socket_, buffer, sizeof buffer, 0);
    if (got <= 0) return "";
    unread_.append(buffer, static_cast<size_t>(got));
  }
  std::string request = unread_.substr(0, whole);
  unread_.erase(0, whole);
  const std::lock_guard<std::mutex> lock(server_->mu_);
  server_->requests_.push_back(request);
  return request;
}

void RawServer::Peer::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the client has gone, which is what some tests are about
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

void RawServer::Peer::Reset() {
  const linger at_once = {1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void RawServer::Peer::AwaitHangup() {
  char buffer[4096];
  while (recv(socket_, buffer, sizeof buffer, 0) > 0) {
  }
}

std::string RawServer::Url(std::string_view scheme) const {
  return std::string(scheme) + "://127.0.0.1:" + std::to_string(port_);
}

std::vector<std::string> RawServer::requests() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return requests_;
}

int RawServer::connections() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return static_cast<int>(peers_.size());
}

void RawServer::AwaitClosed(int count) const {
  std::unique_lock<std::mutex> lock(mu_);
  changed_.wait(lock, [this, count] { return closed_ >= count; });
}

int RawServer::UnusedPort() {
  int port;
  close(Bound(&port));
  return port;
}

}  // namespace eddy::testing
