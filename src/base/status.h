// Macros for passing statuses up and for stating what must hold.
//
// EDDY_CHECK stays on in release builds: a broken invariant in a store stops
// the process before it can reach the disk.
#ifndef EDDY_SRC_BASE_STATUS_H_
#define EDDY_SRC_BASE_STATUS_H_

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"

// Returns from the calling function when `expr` is not OK.
#define EDDY_RETURN_IF_ERROR(expr)               \
  do {                                           \
    ::absl::Status eddy_status = (expr);         \
    if (ABSL_PREDICT_FALSE(!eddy_status.ok())) { \
      return eddy_status;                        \
    }                                            \
  } while (false)

// Assigns the value of a StatusOr to `lhs` (which may declare a variable), or
// returns its error.
#define EDDY_ASSIGN_OR_RETURN(lhs, expr)                                    \
  EDDY_ASSIGN_OR_RETURN_IMPL_(EDDY_CONCAT_(eddy_status_or_, __LINE__), lhs, \
                              expr)
#define EDDY_ASSIGN_OR_RETURN_IMPL_(holder, lhs, expr) \
  auto holder = (expr);                                \
  if (ABSL_PREDICT_FALSE(!holder.ok())) {              \
    return std::move(holder).status();                 \
  }                                                    \
  lhs = *std::move(holder)
#define EDDY_CONCAT_(a, b) EDDY_CONCAT_IMPL_(a, b)
#define EDDY_CONCAT_IMPL_(a, b) a##b

// Aborts, naming the place, when `cond` is false.
#define EDDY_CHECK(cond)                                                      \
  do {                                                                        \
    if (ABSL_PREDICT_FALSE(!(cond))) {                                        \
      ::std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, \
                     #cond);                                                  \
      ::std::abort();                                                         \
    }                                                                         \
  } while (false)

namespace eddy {

// `cause` in other words: its payloads say what it was to whoever acts on it.
inline absl::Status Retold(absl::Status words, const absl::Status& cause) {
  cause.ForEachPayload([&words](absl::string_view url, const absl::Cord& payload) {
    words.SetPayload(url, payload);
  });
  return words;
}

}  // namespace eddy

#endif  // EDDY_SRC_BASE_STATUS_H_
