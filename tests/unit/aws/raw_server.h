// A server of bytes, not of HTTP: a script decides what each connection gets, so
// that answers can be cut, stalled or malformed to the byte.
//
// Promises to the test: requests are recorded whole and in the order in which
// they arrived; what a script sends is sent as it is; a script that returns ends
// its connection with a FIN; nothing waits longer than the server lives.
#ifndef EDDY_TESTS_UNIT_AWS_RAW_SERVER_H_
#define EDDY_TESTS_UNIT_AWS_RAW_SERVER_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace eddy::testing {

// Threads: safe. The destructor ends all connections and waits for their scripts.
class RawServer {
 public:
  // One accepted connection, on a thread of its own.
  class Peer {
   public:
    // The next whole request, or "" when the client has gone.
    std::string ReadRequest();
    void Send(std::string_view bytes);
    void Reset();         // the script now ends with an RST, not a FIN
    void AwaitHangup();   // until the client, or the server, ends it
    int index() const { return index_; }  // 0 for the first connection

   private:
    friend class RawServer;
    Peer(RawServer* server, int socket, int index)
        : server_(server), socket_(socket), index_(index) {}
    RawServer* const server_;
    const int socket_;
    const int index_;
    std::string unread_;
  };
  using Script = std::function<void(Peer&)>;

  explicit RawServer(Script script);
  ~RawServer();

  std::string Url(std::string_view scheme = "http") const;  // without a path
  std::vector<std::string> requests() const;
  int connections() const;            // accepted so far
  void AwaitClosed(int count) const;  // until so many connections have ended

  // A port of this machine on which nothing listens.
  static int UnusedPort();

 private:
  void Accept();
  void Run(int socket, int index);

  const Script script_;
  int listener_ = -1;
  int port_ = 0;

  mutable std::mutex mu_;
  mutable std::condition_variable changed_;
  bool stopping_ = false;
  int closed_ = 0;
  std::vector<int> open_;
  std::vector<std::string> requests_;
  std::vector<std::thread> peers_;
  std::thread acceptor_;
};

}  // namespace eddy::testing

#endif  // EDDY_TESTS_UNIT_AWS_RAW_SERVER_H_
