#include "src/aws/clock_skew.h"

#include "absl/strings/ascii.h"

namespace eddy::aws {
namespace {

// The value of the decimal digits at `at`, or -1.
int Digits(std::string_view text, size_t at, size_t count) {
  int value = 0;
  for (const char c : text.substr(at, count)) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

// By hand: strptime, and with it absl::ParseTime, takes the names of days and
// months in the process's locale.
std::optional<absl::Time> ParseHttpDate(std::string_view text) {
  constexpr std::string_view kShape = "Ddd, 00 Mmm 0000 00:00:00 GMT";
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != kShape.size()) return std::nullopt;
  for (const size_t i : {3, 4, 7, 11, 16, 19, 22, 25, 26, 27, 28}) {
    if (text[i] != kShape[i]) return std::nullopt;
  }
  const size_t month = kMonths.find(text.substr(8, 3));
  if (month == std::string_view::npos || month % 3 != 0) return std::nullopt;
  const int day = Digits(text, 5, 2);
  const int year = Digits(text, 12, 4);
  const int hour = Digits(text, 17, 2);
  const int minute = Digits(text, 20, 2);
  const int second = Digits(text, 23, 2);
  if (day < 1 || day > 31 || year < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      second < 0 || second > 60) {
    return std::nullopt;
  }
  return absl::FromCivil(
      absl::CivilSecond(year, static_cast<int>(month / 3) + 1, day, hour, minute, second),
      absl::UTCTimeZone());
}

std::optional<absl::Duration> ServerOffset(const HttpResponse& response, absl::Time local) {
  if (!response.Header("Age").empty() || response.round_trip > kRoundTripMax) {
    return std::nullopt;
  }
  const std::optional<absl::Time> date = ParseHttpDate(response.Header("Date"));
  if (!date) return std::nullopt;
  return *date - local;
}

bool IsSkewed(absl::Duration used, absl::Duration measured) {
  return absl::AbsDuration(measured - used) >= kSkewMin;
}

}  // namespace eddy::aws
