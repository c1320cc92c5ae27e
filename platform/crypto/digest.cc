#include "platform/crypto/digest.h"

#include <mbedtls/md.h>

#include "src/base/status.h"

// The generic md.h, not md5.h and sha256.h: it is the interface that 2.28 and
// 3.x spell the same. mbedtls_md() keeps its state on the stack.
namespace eddy::crypto {
namespace {

const unsigned char* Bytes(std::string_view data) {
  return reinterpret_cast<const unsigned char*>(data.data());
}

const mbedtls_md_info_t* Algorithm(mbedtls_md_type_t type) {
  const mbedtls_md_info_t* info = mbedtls_md_info_from_type(type);
  EDDY_CHECK(info != nullptr);  // mbed TLS was built without it
  return info;
}

}  // namespace

Md5Digest Md5(std::string_view data) {
  Md5Digest digest;
  EDDY_CHECK(mbedtls_md(Algorithm(MBEDTLS_MD_MD5), Bytes(data), data.size(), digest.data()) == 0);
  return digest;
}

Sha256Digest Sha256(std::string_view data) {
  Sha256Digest digest;
  EDDY_CHECK(mbedtls_md(Algorithm(MBEDTLS_MD_SHA256), Bytes(data), data.size(), digest.data()) ==
             0);
  return digest;
}

Sha256Digest HmacSha256(std::string_view key, std::string_view data) {
  Sha256Digest digest;
  EDDY_CHECK(mbedtls_md_hmac(Algorithm(MBEDTLS_MD_SHA256), Bytes(key), key.size(), Bytes(data),
                             data.size(), digest.data()) == 0);
  return digest;
}

}  // namespace eddy::crypto
