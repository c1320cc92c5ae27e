// A device in memory: clock, random numbers, files and the disk under SQLite.
// A test opens stores on it, lets the process die or the power fail, and opens
// them again.
#ifndef EDDY_TESTS_FAKES_DEVICE_H_
#define EDDY_TESTS_FAKES_DEVICE_H_

#include <cstdint>
#include <memory>

#include "eddy/platform.h"
#include "tests/fakes/crash_vfs.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_files.h"
#include "tests/fakes/fake_random.h"

namespace eddy::testing {

struct Device {
  explicit Device(uint64_t seed = 1) : random(seed) {
    CrashDisk::SeedSqlite(static_cast<uint32_t>(seed) | 1);
    files.ShareWith(&disk);
  }
  // The same device after a power cut now; `before` goes on, with its stores.
  Device(Device& before, uint64_t seed)
      : clock(before.clock), random(seed), files(before.files, seed), disk(before.disk, seed) {
    files.ShareWith(&disk);
  }

  eddy::Platform platform() {
    eddy::Platform ports;
    ports.clock = &clock;
    ports.random = &random;
    ports.files = &files;
    ports.sqlite_vfs = disk.name();
    return ports;
  }

  // The process dies while `owner` (a store or an engine) is open: whatever
  // `owner` still does in its destructor no longer reaches the disk, and the
  // intake is put back to what it was.
  template <typename Owner>
  void Kill(std::unique_ptr<Owner> owner, const std::string& intake_path) {
    const std::string intake = files.Content(intake_path);
    disk.KillProcess();
    owner.reset();
    files.SetContent(intake_path, intake);
  }

  // The power fails: unsynced writes are kept, dropped or torn by `seed`.
  template <typename Owner>
  void PowerCut(std::unique_ptr<Owner> owner, uint64_t seed) {
    disk.CutAt(0);
    owner.reset();
    disk.Cut(seed);
    files.PowerCut(seed);
    clock.Reboot();
  }

  FakeClock clock;
  FakeRandom random;
  FakeFiles files;
  CrashDisk disk;
};

}  // namespace eddy::testing

#endif  // EDDY_TESTS_FAKES_DEVICE_H_
