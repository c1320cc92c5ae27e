// A stream as a user has it: a store on a device in memory, without threads.
#ifndef EDDY_TESTS_CONTRACT_STREAM_KINESIS_FIXTURE_H_
#define EDDY_TESTS_CONTRACT_STREAM_KINESIS_FIXTURE_H_

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "eddy/store.h"
#include "tests/fakes/device.h"

namespace eddy {

// REQUIREs OK, saying why not.
template <typename T>
T Must(absl::StatusOr<T> value) {
  INFO(value.status().ToString());
  REQUIRE(value.ok());
  return *std::move(value);
}

struct KinesisFixture {
  explicit KinesisFixture(uint32_t shard_count = 1) {
    StoreOptions options;
    options.intake_bytes = 1 << 20;
    options.threads = false;
    options.platform = device.platform();
    store = Must(Store::Open("/store", options));
    StreamOptions stream_options;
    stream_options.shard_count = shard_count;
    stream = Must(store->CreateStream("telemetry", stream_options));
  }

  PutResult Put(std::string_view key, std::string_view data,
                std::string_view hash_key = {}) {
    PutOptions put;
    put.explicit_hash_key = hash_key;
    return Must(stream->Put(key, data, put));
  }
  absl::StatusOr<std::string> TryIterator(ShardIteratorType type,
                                          SequenceNumber number = 0,
                                          absl::Time timestamp = {}) {
    return stream->GetShardIterator(0, {type, number, timestamp});
  }
  std::string Iterator(ShardIteratorType type, SequenceNumber number = 0,
                       absl::Time timestamp = {}) {
    return Must(TryIterator(type, number, timestamp));
  }
  RecordBatch Get(std::string_view iterator, size_t limit = kGetRecordsMax) {
    GetRecordsOptions get;
    get.limit = limit;
    return Must(stream->GetRecords(iterator, get));
  }
  std::vector<std::string> Data(std::string_view iterator) {
    std::vector<std::string> data;
    const RecordBatch batch = Get(iterator);
    for (const Record& record : batch.records) data.emplace_back(record.data);
    return data;
  }

  testing::Device device;
  std::unique_ptr<Store> store;
  Stream* stream = nullptr;  // the store's
};

}  // namespace eddy

#endif  // EDDY_TESTS_CONTRACT_STREAM_KINESIS_FIXTURE_H_
