// Kinesis and SQS in memory, behind the HTTP port, stricter than the real ones.
//
// Fault model (promises to the code above)
//   A1  A request that breaks a rule of the service (method, path, content type,
//       target, the form and scope of the signature, the clock, sizes, counts) is
//       refused as the service would, nothing of it is applied, and it is counted in
//       RefusedRequests: a test that sends only good ones checks that it stayed 0.
//   A2  Ordered faults come in their order, one for each request that matches; then
//       the random ones, if any are on. A fault never changes what was applied, but
//       for the parts that it fails.
//   A3  Records and Bodies tell everything that was applied, in order, twice if
//       applied twice.
// Signatures themselves are not computed here: that is the integration tests' front.
#ifndef EDDY_TESTS_FAKES_FAKE_AWS_H_
#define EDDY_TESTS_FAKES_FAKE_AWS_H_

#include <cstddef>
#include <cstdint>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/http.h"
#include "eddy/platform.h"
#include "tests/fakes/fake_random.h"

namespace eddy::testing {

struct StoredRecord {
  std::string partition_key;
  std::string data;
  std::string explicit_hash_key;
};

struct FakeCall {
  std::string operation;
  size_t entry_count = 0;
  size_t failed_count = 0;    // parts that a fault failed
  std::string access_key_id;
  std::set<std::string> keys;  // partition keys of a PutRecords
  std::vector<std::string> bodies;  // data or message bodies, in order
  size_t body_bytes = 0;       // of the HTTP request
  absl::Duration total_timeout;
  bool applied = false;
};

struct FakeFault {
  enum class Kind {
    kNone,         // this request passes
    kNotSent,      // kUnavailable: connection refused
    kTls,          // kUnauthenticated: certificate not accepted
    kTimeout,      // kDeadlineExceeded, not applied
    kTimeoutApplied,
    kCut,          // kUnknown, not applied
    kCutApplied,   // kUnknown, applied
    kError,        // an error answer with `code` and `status`, not applied
    kGarbage,      // HTTP `status` with a page of HTML, applied when it is 200
    kPartial,      // entries of `failed` fail with `code`, the others are applied
  };
  Kind kind = Kind::kNone;
  int status = 400;
  std::string code;
  std::set<size_t> failed;
  bool sender_fault = false;         // SQS, of kPartial
  std::string operation;             // empty: any
  std::vector<HttpHeader> headers;   // added to the answer
};

// How often each kind comes, in a thousand requests.
struct FakeOdds {
  int not_sent = 0;
  int timeout = 0;          // half of them applied
  int cut = 0;              // half of them applied
  int error = 0;            // 500, 503 or throttled
  int partial = 0;          // each entry fails with one chance in three
};

// Threads: safe. `clock` outlives it; the service's own clock may differ from it.
class FakeAws : public HttpTransport {
 public:
  static constexpr char kRegion[] = "eu-central-1";
  static constexpr char kKeyId[] = "AKIDEXAMPLE";

  FakeAws(Clock* clock, uint64_t seed);

  absl::StatusOr<HttpResponse> Send(const HttpRequest& request) override;

  void CreateStream(const std::string& name);
  void CreateQueue(const std::string& name, size_t message_bytes_max = 262144);
  // GetQueueAttributes is refused with AccessDenied.
  void HideAttributes() { attributes_hidden_ = true; }

  void Order(FakeFault fault, int times = 1);
  void ForgetOrders();
  void SetOdds(FakeOdds odds);
  // A request that holds such a record or body is refused as a whole.
  void SetMalformed(std::function<bool(std::string_view data)> is_malformed);
  // Runs at the arrival of each request, before anything else; no lock is held.
  void SetOnRequest(std::function<void()> on_request);
  // Records of a PutRecords that fail for their shard's rate, each time.
  void SetThrottled(std::function<bool(std::string_view data)> is_throttled);
  // A link that carries so many bytes of body a second: a request that takes longer than
  // its total_timeout times out, not applied.
  void SetUploadRate(size_t bytes_per_second);
  // A proxy on the way answers a bare 413 to larger bodies; 0: none does.
  void SetProxyLimit(size_t body_bytes_max);
  // Answers SendMessageBatch with the wrong digest so many times.
  void SpoilDigests(int times) { spoiled_digest_count_ = times; }
  // Answers SendMessageBatch without digests.
  void OmitDigests() { digests_omitted_ = true; }

  void SetClockAhead(absl::Duration ahead);
  void AddKey(const std::string& access_key_id);
  void ExpireKey(const std::string& access_key_id);

  std::vector<StoredRecord> Records(const std::string& stream);
  std::vector<std::string> Bodies(const std::string& queue);
  std::vector<FakeCall> Calls(const std::string& operation = "");
  size_t CallCount();
  size_t RefusedRequests();
  std::string LastRefusal();

 private:
  struct Answer {
    int status = 200;
    std::string body;
  };
  Answer Error(int status, const std::string& code, const std::string& message);
  Answer Refuse(int status, const std::string& code, const std::string& message);
  bool CheckHead(const HttpRequest& request, FakeCall* call, Answer* refusal);
  FakeFault TakeFault(const FakeCall& call);
  // Fill `call`; apply what `fault` lets through.
  Answer PutRecords(const HttpRequest& request, const FakeFault& fault, FakeCall* call);
  Answer SendMessageBatch(const HttpRequest& request, const FakeFault& fault,
                          FakeCall* call);
  Answer GetQueueUrl(const HttpRequest& request);
  Answer GetQueueAttributes(const HttpRequest& request);
  std::set<size_t> FailedParts(const FakeFault& fault, size_t count);

  Clock* const clock_;

  std::mutex mu_;
  FakeRandom random_;
  std::map<std::string, std::vector<StoredRecord>> streams_;
  struct RemoteQueue {
    size_t message_bytes_max;
    std::vector<std::string> bodies;
  };
  std::map<std::string, RemoteQueue> queues_;
  struct Ordered {
    FakeFault fault;
    int times;
  };
  std::deque<Ordered> orders_;
  FakeOdds odds_;
  std::function<bool(std::string_view)> is_malformed_;
  std::function<bool(std::string_view)> is_throttled_;
  size_t upload_bytes_per_second_ = SIZE_MAX;
  size_t proxy_bytes_max_ = 0;
  std::function<void()> on_request_;
  absl::Duration ahead_;
  std::set<std::string> key_ids_{kKeyId};
  std::set<std::string> expired_key_ids_;
  std::vector<FakeCall> calls_;
  size_t refused_count_ = 0;
  std::string last_refusal_;
  bool attributes_hidden_ = false;
  int spoiled_digest_count_ = 0;
  bool digests_omitted_ = false;
};

}  // namespace eddy::testing

#endif  // EDDY_TESTS_FAKES_FAKE_AWS_H_
