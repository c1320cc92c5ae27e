#include "src/forward/credentials_cache.h"

#include <cstdlib>
#include <memory>
#include <utility>

#include "src/aws/credentials.h"
#include "src/base/status.h"

namespace eddy {
namespace {

class EnvironmentCredentials : public CredentialsProvider {
 public:
  absl::StatusOr<AwsCredentials> Get() override {
    EDDY_ASSIGN_OR_RETURN(aws::Credentials found, aws::CredentialsFromEnvironment(std::getenv));
    return AwsCredentials{std::move(found.access_key_id), std::move(found.secret_access_key),
                          std::move(found.session_token), found.expiration};
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

absl::StatusOr<AwsCredentials> CredentialsCache::Get(absl::Time now) {
  absl::MutexLock lock(&mu_);
  const absl::Time end = current_.has_value()
                             ? current_->expiration.value_or(absl::InfiniteFuture())
                             : absl::InfinitePast();
  if (now < end - kRenewBefore) return *current_;
  absl::StatusOr<AwsCredentials> renewed = provider_->Get();
  if (renewed.ok()) {
    current_ = *std::move(renewed);
  } else if (now >= end) {
    return std::move(renewed).status();
  }
  return *current_;
}

void CredentialsCache::Reject(std::string_view access_key_id, std::string_view session_token) {
  absl::MutexLock lock(&mu_);
  if (current_.has_value() && current_->access_key_id == access_key_id &&
      current_->session_token == session_token) {
    current_.reset();
  }
}

}  // namespace forward
}  // namespace eddy
