// JSON as the services speak it: a writer that appends to a string, and a parsed
// document that answers questions and never fails loudly.
//
// Invariants
//   J1  No input crashes, recurses or takes more memory than a small multiple of
//       its size: depth and size are bounded.
//   J2  Integers never go through a double.
//   J3  A member that is null counts as absent.
// json.cc alone knows the JSON library.
#ifndef EDDY_SRC_AWS_JSON_H_
#define EDDY_SRC_AWS_JSON_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace eddy::aws {

inline constexpr size_t kJsonDepthMax = 32;         // the answers we know need 4
inline constexpr size_t kJsonBytesMax = 16 << 20;

// Threads: none. `out` outlives the writer. Calls must nest as JSON does; text is
// UTF-8, which the caller has checked where the service cares.
class JsonWriter {
 public:
  explicit JsonWriter(std::string* out);
  ~JsonWriter();
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;

  void BeginObject();
  void EndObject();
  void BeginArray();
  void EndArray();
  void Key(std::string_view name);
  void String(std::string_view value);
  void Base64(std::string_view bytes);  // standard alphabet, padded
  void Int(int64_t value);

  // The pair.
  void Member(std::string_view name, std::string_view value);

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

// A value in a document, or the absence of one: every question may be asked of
// every value, and one that does not apply is answered "absent" or "none".
// Borrows from its document.
class JsonValue {
 public:
  JsonValue() = default;

  bool IsObject() const;
  bool IsArray() const;

  JsonValue operator[](std::string_view member) const;  // the first of that name
  JsonValue operator[](size_t index) const;
  size_t size() const;  // elements of an array, else 0

  std::optional<std::string_view> String() const;
  std::string StringOrEmpty() const;
  std::optional<int64_t> Int() const;  // an integer that fits
  std::optional<bool> Bool() const;

  // Members whose value is a string, in order.
  void ForEachString(
      absl::FunctionRef<void(std::string_view name, std::string_view value)> visit) const;

 private:
  friend class JsonDocument;
  explicit JsonValue(const void* value) : value_(value) {}
  const void* value_ = nullptr;
};

// Values point into it; moving it does not move them.
class JsonDocument {
 public:
  //   kInvalidArgument   not JSON, cut, too deep or too long; says where.
  static absl::StatusOr<JsonDocument> Parse(std::string_view text);
  JsonDocument(JsonDocument&&) noexcept;
  JsonDocument& operator=(JsonDocument&&) noexcept;
  ~JsonDocument();

  JsonValue root() const;

 private:
  struct Impl;
  explicit JsonDocument(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace eddy::aws

#endif  // EDDY_SRC_AWS_JSON_H_
