#include "src/aws/sqs_message.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "platform/crypto/digest.h"
#include "src/aws/text.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/base/utf8.h"

namespace eddy::aws::sqs {
namespace {

constexpr size_t kNameBytesMax = 256;
constexpr size_t kTypeBytesMax = 256;
constexpr size_t kFifoIdBytesMax = 128;
constexpr size_t kEntryIdBytesMax = 80;

bool IsAlphanumeric(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }

template <typename Predicate>
bool AllOf(std::string_view text, Predicate predicate) {
  return std::all_of(text.begin(), text.end(), predicate);
}

std::string_view BaseType(std::string_view data_type) {
  return data_type.substr(0, data_type.find('.'));
}

// XML's characters: SQS was an XML service once, and its messages still are.
absl::Status CheckText(std::string_view what, std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t at = text.size() - rest.size();
    const std::optional<char32_t> character = TakeCharacter(&rest);
    if (!character) {
      return absl::InvalidArgumentError(
          absl::StrCat(AbslView(what), " is not UTF-8 at byte ", at));
    }
    if (!IsXmlCharacter(*character)) {
      return absl::InvalidArgumentError(
          absl::StrCat(AbslView(what), " has U+", absl::Hex(uint32_t{*character}, absl::kZeroPad4),
                       " at byte ", at, ", which SQS refuses"));
    }
  }
  return absl::OkStatus();
}

bool IsAttributeName(std::string_view name) {
  const std::string lower = absl::AsciiStrToLower(AbslView(name.substr(0, 7)));
  return !name.empty() && name.size() <= kNameBytesMax && name.front() != '.' &&
         name.back() != '.' && name.find("..") == std::string_view::npos &&
         lower.compare(0, 4, "aws.") != 0 && lower != "amazon." && AllOf(name, [](char c) {
           return IsAlphanumeric(c) || c == '_' || c == '-' || c == '.';
         });
}

absl::Status CheckAttribute(const MessageAttribute& attribute) {
  if (!IsAttributeName(attribute.name)) {
    return absl::InvalidArgumentError(
        "an attribute's name is not 1 to 256 of [A-Za-z0-9_.-], or has a dot too many, or "
        "begins with AWS. or Amazon.");
  }
  const std::string what = absl::StrCat("attribute ", AbslView(attribute.name));
  const std::string_view base = BaseType(attribute.data_type);
  if ((base != "String" && base != "Number" && base != "Binary") ||
      attribute.data_type.size() > kTypeBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " is of no type: String, Number or Binary, with a label or not"));
  }
  EDDY_RETURN_IF_ERROR(CheckText(absl::StrCat(what, ": its type"), attribute.data_type));
  if (attribute.value.empty()) return absl::InvalidArgumentError(absl::StrCat(what, " is empty"));
  return base == "Binary" ? absl::OkStatus() : CheckText(what, attribute.value);
}

// Empty is allowed: not every queue wants one.
absl::Status CheckFifoId(const char* what, std::string_view id) {
  if (id.size() > kFifoIdBytesMax ||
      !AllOf(id, [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); })) {
    return absl::InvalidArgumentError(absl::StrCat(
        what, " is not 1 to ", kFifoIdBytesMax, " letters, digits and punctuation of ASCII"));
  }
  return absl::OkStatus();
}

void AppendSized(std::string_view bytes, std::string* out) {
  const uint32_t size = static_cast<uint32_t>(bytes.size());
  for (const int shift : {24, 16, 8, 0}) out->push_back(static_cast<char>(size >> shift & 0xff));
  out->append(bytes);
}

}  // namespace

size_t MessageBytes(const Message& message) {
  size_t bytes = message.body.size();
  for (const MessageAttribute& attribute : message.attributes) {
    bytes += attribute.name.size() + attribute.data_type.size() + attribute.value.size();
  }
  return bytes;
}

absl::Status CheckMessage(const Message& message, size_t message_bytes_max) {
  if (message.id.empty() || message.id.size() > kEntryIdBytesMax ||
      !AllOf(message.id, [](char c) { return IsAlphanumeric(c) || c == '_' || c == '-'; })) {
    return absl::InvalidArgumentError("an entry's id is not 1 to 80 of [A-Za-z0-9_-]");
  }
  if (message.body.empty()) return absl::InvalidArgumentError("the body is empty");
  if (MessageBytes(message) > message_bytes_max) {
    return absl::InvalidArgumentError(absl::StrCat("a message of ", MessageBytes(message),
                                                   " bytes, attributes included: at most ",
                                                   message_bytes_max));
  }
  EDDY_RETURN_IF_ERROR(CheckText("the body", message.body));
  if (message.attributes.size() > kAttributesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(message.attributes.size(), " attributes: at most ", kAttributesMax));
  }
  for (size_t i = 0; i < message.attributes.size(); ++i) {
    EDDY_RETURN_IF_ERROR(CheckAttribute(message.attributes[i]));
    for (size_t j = 0; j < i; ++j) {
      if (message.attributes[i].name == message.attributes[j].name) {
        return absl::InvalidArgumentError(absl::StrCat(
            "attribute ", AbslView(message.attributes[i].name), " is there twice"));
      }
    }
  }
  const int delay_seconds = message.delay_seconds.value_or(0);
  if (delay_seconds < 0 || delay_seconds > kDelaySecondsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a delay of ", delay_seconds, " s: 0 to ", kDelaySecondsMax));
  }
  EDDY_RETURN_IF_ERROR(CheckFifoId("the group id", message.group_id));
  return CheckFifoId("the deduplication id", message.deduplication_id);
}

std::string Md5OfBody(std::string_view body) { return Hex(crypto::Md5(body)); }

std::string Md5OfAttributes(absl::Span<const MessageAttribute> attributes) {
  if (attributes.empty()) return {};
  std::vector<MessageAttribute> sorted(attributes.begin(), attributes.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const MessageAttribute& a, const MessageAttribute& b) { return a.name < b.name; });
  std::string bytes;
  for (const MessageAttribute& attribute : sorted) {
    AppendSized(attribute.name, &bytes);
    AppendSized(attribute.data_type, &bytes);
    bytes.push_back(BaseType(attribute.data_type) == "Binary" ? 2 : 1);
    AppendSized(attribute.value, &bytes);
  }
  return Hex(crypto::Md5(bytes));
}

}  // namespace eddy::aws::sqs
