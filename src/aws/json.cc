#include "src/aws/json.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"

// By default the library's assertions vanish in a release build and a wrong
// access reads another type's bytes. Ours stay, and JsonValue asks first.
#define RAPIDJSON_ASSERT(condition) EDDY_CHECK(condition)
#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>
#include <rapidjson/writer.h>

namespace eddy::aws {
namespace {

// Where the writer puts its characters: at the end of the request's body, so
// that a request of several MiB is built once and not copied.
class Appender {
 public:
  using Ch = char;
  explicit Appender(std::string* out) : out_(out) {}
  void Put(char c) { out_->push_back(c); }
  void Flush() {}

 private:
  std::string* const out_;
};

rapidjson::SizeType Size(std::string_view text) {
  EDDY_CHECK(text.size() <= kJsonBytesMax);
  return static_cast<rapidjson::SizeType>(text.size());
}

// Between the parser and the document: ends the parse at kJsonDepthMax.
class DepthBound {
 public:
  using Ch = char;
  using SizeType = rapidjson::SizeType;
  explicit DepthBound(rapidjson::Document* document) : document_(document) {}

  bool Null() { return document_->Null(); }
  bool Bool(bool value) { return document_->Bool(value); }
  bool Int(int value) { return document_->Int(value); }
  bool Uint(unsigned value) { return document_->Uint(value); }
  bool Int64(int64_t value) { return document_->Int64(value); }
  bool Uint64(uint64_t value) { return document_->Uint64(value); }
  bool Double(double value) { return document_->Double(value); }
  bool RawNumber(const char* text, SizeType size, bool copy) {
    return document_->RawNumber(text, size, copy);
  }
  bool String(const char* text, SizeType size, bool copy) {
    return document_->String(text, size, copy);
  }
  bool Key(const char* text, SizeType size, bool copy) { return document_->Key(text, size, copy); }
  bool StartObject() { return ++depth_ <= kJsonDepthMax && document_->StartObject(); }
  bool StartArray() { return ++depth_ <= kJsonDepthMax && document_->StartArray(); }
  bool EndObject(SizeType count) {
    --depth_;
    return document_->EndObject(count);
  }
  bool EndArray(SizeType count) {
    --depth_;
    return document_->EndArray(count);
  }

 private:
  rapidjson::Document* const document_;
  size_t depth_ = 0;
};

const rapidjson::Value* Of(const void* value) {
  return static_cast<const rapidjson::Value*>(value);
}

std::string_view View(const rapidjson::Value& text) {
  return {text.GetString(), text.GetStringLength()};
}

}  // namespace

// --- Writing ---

struct JsonWriter::Impl {
  explicit Impl(std::string* text) : out(text), appender(text), writer(appender) {}
  std::string* const out;
  Appender appender;
  rapidjson::Writer<Appender> writer;
  std::string base64;  // kept, so that 500 records allocate once
};

JsonWriter::JsonWriter(std::string* out) : impl_(std::make_unique<Impl>(out)) {}
JsonWriter::~JsonWriter() = default;

void JsonWriter::BeginObject() { impl_->writer.StartObject(); }
void JsonWriter::EndObject() { impl_->writer.EndObject(); }
void JsonWriter::BeginArray() { impl_->writer.StartArray(); }
void JsonWriter::EndArray() { impl_->writer.EndArray(); }
void JsonWriter::Key(std::string_view name) { impl_->writer.Key(name.data(), Size(name)); }
void JsonWriter::String(std::string_view value) {
  impl_->writer.String(value.empty() ? "" : value.data(), Size(value));
}
void JsonWriter::Int(int64_t value) { impl_->writer.Int64(value); }

void JsonWriter::Base64(std::string_view bytes) {
  absl::Base64Escape(AbslView(bytes), &impl_->base64);
  // The alphabet has nothing to escape, so the text goes past the escaping: an
  // empty raw value makes the writer put the comma or colon that is due.
  impl_->writer.RawValue("", 0, rapidjson::kStringType);
  impl_->out->push_back('"');
  impl_->out->append(impl_->base64);
  impl_->out->push_back('"');
}

void JsonWriter::Member(std::string_view name, std::string_view value) {
  Key(name);
  String(value);
}

// --- Reading ---

struct JsonDocument::Impl {
  rapidjson::Document document;
};

JsonDocument::JsonDocument(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;
JsonDocument::~JsonDocument() = default;

absl::StatusOr<JsonDocument> JsonDocument::Parse(std::string_view text) {
  if (text.size() > kJsonBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("JSON of ", text.size(), " bytes: at most ", kJsonBytesMax));
  }
  if (text.find('\0') != std::string_view::npos) {
    return absl::InvalidArgumentError("not JSON: a NUL, which the parser would take for the end");
  }
  auto impl = std::make_unique<Impl>();
  rapidjson::ParseResult result;
  auto parse = [&](rapidjson::Document& document) {
    DepthBound handler(&document);
    rapidjson::MemoryStream stream(text.empty() ? "" : text.data(), text.size());
    rapidjson::Reader reader;
    // Iterative: the parser's own stack lies on the heap, whatever it is fed.
    result = reader.Parse<rapidjson::kParseIterativeFlag>(stream, handler);
    return !result.IsError();
  };
  impl->document.Populate(parse);
  if (result.IsError()) {
    return absl::InvalidArgumentError(
        result.Code() == rapidjson::kParseErrorTermination
            ? absl::StrCat("JSON nested deeper than ", kJsonDepthMax)
            : absl::StrCat("not JSON at byte ", result.Offset(), ": ",
                           rapidjson::GetParseError_En(result.Code())));
  }
  return JsonDocument(std::move(impl));
}

JsonValue JsonDocument::root() const { return JsonValue(&impl_->document); }

bool JsonValue::IsObject() const { return value_ != nullptr && Of(value_)->IsObject(); }
bool JsonValue::IsArray() const { return value_ != nullptr && Of(value_)->IsArray(); }

JsonValue JsonValue::operator[](std::string_view member) const {
  if (!IsObject()) return {};
  for (const auto& pair : Of(value_)->GetObject()) {
    if (View(pair.name) != member) continue;
    return pair.value.IsNull() ? JsonValue() : JsonValue(&pair.value);
  }
  return {};
}

JsonValue JsonValue::operator[](size_t index) const {
  if (index >= size()) return {};
  const rapidjson::Value& element = (*Of(value_))[static_cast<rapidjson::SizeType>(index)];
  return element.IsNull() ? JsonValue() : JsonValue(&element);
}

size_t JsonValue::size() const { return IsArray() ? Of(value_)->Size() : 0; }

std::optional<std::string_view> JsonValue::String() const {
  if (value_ == nullptr || !Of(value_)->IsString()) return std::nullopt;
  return View(*Of(value_));
}

std::string JsonValue::StringOrEmpty() const { return std::string(String().value_or("")); }

std::optional<int64_t> JsonValue::Int() const {
  if (value_ == nullptr || !Of(value_)->IsInt64()) return std::nullopt;
  return Of(value_)->GetInt64();
}

std::optional<bool> JsonValue::Bool() const {
  if (value_ == nullptr || !Of(value_)->IsBool()) return std::nullopt;
  return Of(value_)->GetBool();
}

void JsonValue::ForEachString(
    absl::FunctionRef<void(std::string_view, std::string_view)> visit) const {
  if (!IsObject()) return;
  for (const auto& pair : Of(value_)->GetObject()) {
    if (pair.value.IsString()) visit(View(pair.name), View(pair.value));
  }
}

}  // namespace eddy::aws
