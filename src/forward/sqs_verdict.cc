#include "src/forward/sqs_verdict.h"

#include <utility>

namespace eddy::forward {
namespace {

EntryVerdict Again(Trouble trouble, bool maybe_stored, absl::Status status) {
  EntryVerdict verdict;
  verdict.end = EntryEnd::kAgain;
  verdict.trouble = trouble;
  verdict.maybe_stored = maybe_stored;
  verdict.status = std::move(status);
  return verdict;
}

EntryVerdict Dead(absl::Status status) {
  EntryVerdict verdict;
  verdict.end = EntryEnd::kDead;
  verdict.status = std::move(status);
  return verdict;
}

EntryVerdict JudgeFailed(const aws::ServiceError& error) {
  absl::Status status = ToStatus("entry failed", error);
  switch (error.error_class) {
    case aws::ErrorClass::kPermanentRequest:
    case aws::ErrorClass::kOversize: return Dead(std::move(status));
    case aws::ErrorClass::kRetryable:
      return Again(Trouble::kServiceFault, false, std::move(status));
    default:  // throttled, or of the kind that a person has to mend: slowly
      return Again(Trouble::kThrottled, false, std::move(status));
  }
}

}  // namespace

EntryVerdict JudgeEntry(const aws::sqs::Message& message, const aws::sqs::MessageResult& result,
                        int digest_failure) {
  switch (result.outcome) {
    case aws::sqs::Outcome::kFailed: return JudgeFailed(result.error);
    case aws::sqs::Outcome::kUnknown:
      return Again(Trouble::kServiceFault, true,
                   absl::UnknownError("the answer does not say what became of it"));
    case aws::sqs::Outcome::kStored: break;
  }
  absl::Status digest = VerifyDigests(message, result);
  if (digest.ok()) return EntryVerdict();
  EntryVerdict verdict = digest_failure < kDigestFailuresMax
                             ? Again(Trouble::kServiceFault, true, std::move(digest))
                             : Dead(std::move(digest));
  verdict.is_wrong_digest = true;
  return verdict;
}

}  // namespace eddy::forward
