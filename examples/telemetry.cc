#include "examples/telemetry.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

// The kernel's texts are lines of words. Each source has a format, below, that
// makes sensors of the words.
struct Telemetry::Source {
  using Words = std::vector<std::string_view>;
  // Appends to `sensor`, which begins with the source's prefix, and reports.
  using Format = void (*)(const Words& words, std::string* sensor, const TakeReading& take);

  Source(int descriptor, std::string name_prefix, absl::Duration every, Format line_format)
      : fd(descriptor), prefix(std::move(name_prefix)), period(every), format(line_format) {}
  ~Source() { close(fd); }

  const int fd;
  const std::string prefix;
  const absl::Duration period;
  const Format format;
  absl::Time due = absl::InfinitePast();
};

namespace {

using Words = std::vector<std::string_view>;

constexpr size_t kSourceBytesMax = 256 << 10;

void Report(std::string_view name, std::string_view value, std::string* sensor,
            const TakeReading& take) {
  const size_t prefix = sensor->size();
  sensor->append(name);
  take(*sensor, value);
  sensor->resize(prefix);
}

// Reports words[first..] under `names`, as many as there are of both.
template <size_t N>
void ReportAll(const Words& words, size_t first, const char* const (&names)[N],
               std::string* sensor, const TakeReading& take) {
  const size_t prefix = sensor->size();
  sensor->push_back('.');
  for (size_t i = 0; i < N && first + i < words.size(); ++i) {
    Report(names[i], words[first + i], sensor, take);
  }
  sensor->resize(prefix);
}

// "cpu0 3178 6549 ..." and "ctxt 1341176"
void StatLine(const Words& words, std::string* sensor, const TakeReading& take) {
  static constexpr const char* kNames[] = {"user",   "nice", "system",  "idle",
                                           "iowait", "irq",  "softirq", "steal"};
  if (words.size() < 2) return;
  if (words[0].substr(0, 3) != "cpu") {  // intr and softirq: the total alone
    if (words[0] != "btime") Report(words[0], words[1], sensor, take);
    return;
  }
  sensor->append(words[0]);
  ReportAll(words, 1, kNames, sensor, take);
}

// "MemFree: 3522 kB" and "nr_free_pages 880654"
void NameAndValue(const Words& words, std::string* sensor, const TakeReading& take) {
  if (words.size() < 2) return;
  Report(words[0].substr(0, words[0].find(':')), words[1], sensor, take);
}

// "8 0 sda 9472 31 ..."
void DiskLine(const Words& words, std::string* sensor, const TakeReading& take) {
  static constexpr const char* kNames[] = {
      "reads",          "reads_merged", "sectors_read", "read_ms", "writes", "writes_merged",
      "sectors_written", "write_ms",    "in_flight",    "io_ms",   "weighted_io_ms"};
  if (words.size() < 4 || words[2].substr(0, 4) == "loop" || words[2].substr(0, 3) == "ram") {
    return;
  }
  sensor->append(words[2]);
  ReportAll(words, 3, kNames, sensor, take);
}

// "lo: 14731202 1188 ...", below two lines of headings
void NetworkLine(const Words& words, std::string* sensor, const TakeReading& take) {
  static constexpr const char* kNames[] = {
      "rx_bytes",      "rx_packets",   "rx_errors", "rx_dropped", "rx_fifo",   "rx_frame",
      "rx_compressed", "rx_multicast", "tx_bytes",  "tx_packets", "tx_errors", "tx_dropped",
      "tx_fifo",       "tx_collisions", "tx_carrier", "tx_compressed"};
  if (words.size() < 17 || words[0].back() != ':') return;
  if (words[1] == "0" && words[9] == "0") return;  // never used
  sensor->append(words[0].substr(0, words[0].size() - 1));
  ReportAll(words, 1, kNames, sensor, take);
}

// "some avg10=5.16 avg60=7.64 avg300=6.99 total=52557534"
void PressureLine(const Words& words, std::string* sensor, const TakeReading& take) {
  sensor->append(words[0]);
  sensor->push_back('.');
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    if (equals == std::string_view::npos) continue;
    Report(words[i].substr(0, equals), words[i].substr(equals + 1), sensor, take);
  }
}

// "0.93 0.66 0.34 1/107 15865"
void LoadLine(const Words& words, std::string* sensor, const TakeReading& take) {
  static constexpr const char* kNames[] = {"1m", "5m", "15m"};
  ReportAll(words, 0, kNames, sensor, take);
}

// A file that holds one number.
void OneValue(const Words& words, std::string* sensor, const TakeReading& take) {
  if (!words.empty()) take(*sensor, words[0]);
}

std::vector<std::string> Entries(const std::string& directory, std::string_view beginning) {
  std::vector<std::string> names;
  DIR* const dir = opendir(directory.c_str());
  if (dir == nullptr) return names;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name.compare(0, beginning.size(), beginning) == 0) names.push_back(name);
  }
  closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

void Split(std::string_view line, Words* words) {
  words->clear();
  for (size_t at = line.find_first_not_of(" \t"); at != std::string_view::npos;) {
    const size_t end = std::min(line.find_first_of(" \t", at), line.size());
    words->push_back(line.substr(at, end - at));
    at = line.find_first_not_of(" \t", end);
  }
}

}  // namespace

Telemetry::Telemetry() {
  const auto add = [this](const std::string& path, const char* prefix, absl::Duration period,
                          Source::Format format) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd >= 0) sources_.push_back(std::make_unique<Source>(fd, prefix, period, format));
  };
  add("/proc/stat", "", absl::Milliseconds(200), StatLine);
  add("/proc/meminfo", "mem.", absl::Milliseconds(500), NameAndValue);
  add("/proc/diskstats", "disk.", absl::Milliseconds(500), DiskLine);
  add("/proc/net/dev", "net.", absl::Milliseconds(500), NetworkLine);
  add("/proc/vmstat", "vmstat.", absl::Seconds(1), NameAndValue);
  add("/proc/loadavg", "load", absl::Seconds(1), LoadLine);
  for (const char* what : {"cpu", "io", "memory"}) {
    add(std::string("/proc/pressure/") + what, (std::string("pressure.") + what + ".").c_str(),
        absl::Seconds(1), PressureLine);
  }
  const std::string thermal = "/sys/class/thermal/";
  for (const std::string& zone : Entries(thermal, "thermal_zone")) {
    add(thermal + zone + "/temp", ("thermal." + zone).c_str(), absl::Milliseconds(500), OneValue);
  }
}

Telemetry::~Telemetry() = default;

void Telemetry::Sample(absl::Time now, const TakeReading& take) {
  Source::Words words;
  for (const auto& source : sources_) {
    if (now < source->due) continue;
    source->due = now + source->period;
    text_.resize(kSourceBytesMax);
    // Reading at offset 0 makes the kernel write the text anew.
    const ssize_t bytes = pread(source->fd, text_.data(), text_.size(), 0);
    if (bytes <= 0) continue;  // a disk or zone that has gone
    const std::string_view text(text_.data(), static_cast<size_t>(bytes));
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      Split(text.substr(at, end - at), &words);
      sensor_ = source->prefix;
      if (!words.empty()) source->format(words, &sensor_, take);
      at = end + 1;
    }
  }
}
