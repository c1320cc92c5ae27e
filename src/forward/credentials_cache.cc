#include "src/forward/credentials_cache.h"

#include <cstdlib>
#include <memory>
#include <utility>

#include "src/aws/credentials.h"
#include "src/aws/retry.h"
#include "src/base/status.h"

namespace eddy {
namespace {

class EnvironmentCredentials : public CredentialsProvider {
 public:
  absl::StatusOr<AwsCredentials> Get() override {
    return aws::CredentialsFromEnvironment(std::getenv);
  }
};

class StaticCredentials : public CredentialsProvider {
 public:
  explicit StaticCredentials(AwsCredentials credentials) : credentials_(std::move(credentials)) {}
  absl::StatusOr<AwsCredentials> Get() override { return credentials_; }

 private:
  const AwsCredentials credentials_;
};

}  // namespace

std::unique_ptr<CredentialsProvider> NewEnvironmentCredentials() {
  return std::make_unique<EnvironmentCredentials>();
}

std::unique_ptr<CredentialsProvider> NewStaticCredentials(AwsCredentials credentials) {
  return std::make_unique<StaticCredentials>(std::move(credentials));
}

namespace forward {
namespace {

constexpr aws::RetryPolicy kEarlyRenewals = {absl::Seconds(1), absl::Seconds(1),
                                             absl::Minutes(1)};

}  // namespace

absl::StatusOr<AwsCredentials> CredentialsCache::Get(absl::Time now) {
  MutexLock lock(&mu_);
  const absl::Time end = End();
  const bool holds = now < end;
  if (now < end - kRenewBefore) return *current_;
  if (holds && clock_->SinceBoot() < not_before_) return *current_;
  absl::StatusOr<AwsCredentials> renewed = provider_->Get();
  if (!renewed.ok() && !holds) return std::move(renewed).status();
  if (renewed.ok()) current_ = *std::move(renewed);
  if (End() - kRenewBefore > now) {
    vain_count_ = 0;
  } else {
    const absl::Duration pause =
        aws::RetryDelay(kEarlyRenewals, vain_count_++, /*throttled=*/false, random_->Next());
    not_before_ = clock_->SinceBoot() + pause;
  }
  return *current_;
}

absl::Time CredentialsCache::End() const {
  if (!current_.has_value()) return absl::InfinitePast();
  return current_->expiration.value_or(absl::InfiniteFuture());
}

void CredentialsCache::Reject(std::string_view access_key_id, std::string_view session_token) {
  MutexLock lock(&mu_);
  if (current_.has_value() && current_->access_key_id == access_key_id &&
      current_->session_token == session_token) {
    current_.reset();
  }
}

}  // namespace forward
}  // namespace eddy
