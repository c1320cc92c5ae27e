// Digests: MD5, SHA-256 and HMAC-SHA-256 of bytes that lie in memory.
//
// MD5 is here because Kinesis places records and SQS checks messages with it;
// nothing rests on it for security.
// The only room that knows the crypto library; depends on nothing of eddy.
#ifndef EDDY_PLATFORM_CRYPTO_DIGEST_H_
#define EDDY_PLATFORM_CRYPTO_DIGEST_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace eddy::crypto {

using Md5Digest = std::array<uint8_t, 16>;
using Sha256Digest = std::array<uint8_t, 32>;

// Threads: safe. None of them can fail: a library built without the algorithm,
// or out of memory, ends the process with a message, because no caller could go
// on with a digest that is not one.
//
// Md5 and Sha256 allocate nothing; HmacSha256 does.
Md5Digest Md5(std::string_view data);
Sha256Digest Sha256(std::string_view data);
Sha256Digest HmacSha256(std::string_view key, std::string_view data);

}  // namespace eddy::crypto

#endif  // EDDY_PLATFORM_CRYPTO_DIGEST_H_
