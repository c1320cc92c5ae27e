#include "src/forward/route_cursor.h"

#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/mutex.h"
#include "src/base/strings.h"

namespace eddy::forward {
namespace {

constexpr size_t kCursorNameBytesMax = 128;
constexpr size_t kHashDigits = 16;

// FNV-1a of 64 bits: in names on disks, so never to be changed. Tells apart what an
// operator writes; nobody gains by a collision.
uint64_t Hash(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

std::string_view HostOf(std::string_view url) {
  const size_t scheme = url.find("://");
  return scheme == std::string_view::npos ? url : url.substr(scheme + 3);
}

// The cursors in use in this process. Never destroyed: routes may end after it would be.
struct Leases {
  Mutex mu;
  absl::flat_hash_set<const Cursor*> taken ABSL_GUARDED_BY(mu);
};
Leases& AllLeases() {
  static Leases* const leases = new Leases;
  return *leases;
}

}  // namespace

std::string RouteCursorName(const aws::Endpoint& endpoint, std::string_view target_stream) {
  const std::string prefix = absl::StrCat("forward.", endpoint.service, ".");
  const uint64_t hash =
      Hash(absl::StrCat(endpoint.service, "\n",
                        absl::AsciiStrToLower(AbslView(HostOf(endpoint.url))), "\n",
                        endpoint.region, "\n", AbslView(target_stream)));
  const size_t target_bytes_max = kCursorNameBytesMax - prefix.size() - 1 - kHashDigits;
  return absl::StrCat(prefix, AbslView(target_stream.substr(0, target_bytes_max)), ".",
                      absl::Hex(hash, absl::kZeroPad16));
}

absl::StatusOr<CursorLease> CursorLease::Take(Cursor* cursor) {
  Leases& leases = AllLeases();
  MutexLock lock(&leases.mu);
  if (!leases.taken.insert(cursor).second) {
    return absl::AlreadyExistsError(absl::StrCat(
        "cursor ", cursor->name(), " is in use by another route of this process"));
  }
  return CursorLease(cursor);
}

CursorLease::~CursorLease() {
  if (cursor_ == nullptr) return;
  Leases& leases = AllLeases();
  MutexLock lock(&leases.mu);
  leases.taken.erase(cursor_);
}

}  // namespace eddy::forward
