// A store in a directory of its own on the real disk, with the smallest intake,
// so that segments are taken and given back all the time.
#ifndef EDDY_TESTS_STRESS_STRESS_STORE_H_
#define EDDY_TESTS_STRESS_STRESS_STORE_H_

#include <stdlib.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "eddy/eddy.h"

namespace eddy::testing {

class StressStore {
 public:
  StressStore() {
    std::string name = (std::filesystem::temp_directory_path() / "eddy-stress-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    directory_ = name;
    StoreOptions options;
    options.intake_bytes = 256 << 10;  // four segments
    options.flush_interval = absl::Milliseconds(5);
    options.append_timeout = absl::Minutes(2);  // what fails here is wrong, not slow
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory_ + "/store", options);
    INFO(store.status().ToString());
    REQUIRE(store.ok());
    store_ = *std::move(store);
  }
  ~StressStore() {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  Store* operator->() { return store_.get(); }

 private:
  std::string directory_;
  std::unique_ptr<Store> store_;
};

}  // namespace eddy::testing

#endif  // EDDY_TESTS_STRESS_STRESS_STORE_H_
