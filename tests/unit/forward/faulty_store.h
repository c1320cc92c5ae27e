// A store whose streams misbehave when a test says so, and count how they are read.
// All else is the real store's.
#ifndef EDDY_TESTS_UNIT_FORWARD_FAULTY_STORE_H_
#define EDDY_TESTS_UNIT_FORWARD_FAULTY_STORE_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "eddy/store.h"

namespace eddy::forward {

// One thread. `real` outlives it.
class FaultyStream : public Stream {
 public:
  explicit FaultyStream(Stream* real) : real_(real) {}

  std::optional<ShardId> bad_shard;  // kDataLoss, as of a damaged block
  int read_count = 0;                // calls of GetRecords

  const std::string& name() const override { return real_->name(); }
  StreamDescription Describe() override { return real_->Describe(); }
  uint32_t shard_count() const override { return real_->shard_count(); }
  absl::StatusOr<PutResult> Put(std::string_view key, std::string_view data,
                                const PutOptions& options) override {
    return real_->Put(key, data, options);
  }
  absl::StatusOr<std::vector<absl::StatusOr<PutResult>>> PutRecords(
      const std::vector<PutRecordsEntry>& entries, const PutOptions& options) override {
    return real_->PutRecords(entries, options);
  }
  absl::StatusOr<std::string> GetShardIterator(ShardId shard,
                                               const ShardIteratorPosition& position) override {
    if (bad_shard == shard) return absl::DataLossError("a damaged block");
    return real_->GetShardIterator(shard, position);
  }
  absl::StatusOr<RecordBatch> GetRecords(std::string_view iterator,
                                         const GetRecordsOptions& options) override {
    ++read_count;
    return real_->GetRecords(iterator, options);
  }
  absl::StatusOr<Cursor*> OpenCursor(std::string_view name) override {
    return real_->OpenCursor(name);
  }
  std::vector<std::string> ListCursors() override { return real_->ListCursors(); }
  absl::Status Trim(ShardId shard, SequenceNumber before) override {
    return real_->Trim(shard, before);
  }

 private:
  Stream* const real_;
};

// One thread. `real` outlives it.
class FaultyStore : public Store {
 public:
  explicit FaultyStore(Store* real) : real_(real) {}

  FaultyStream& stream(const std::string& name) {
    std::unique_ptr<FaultyStream>& stream = streams_[name];
    if (stream == nullptr) stream = std::make_unique<FaultyStream>(*real_->OpenStream(name));
    return *stream;
  }

  absl::StatusOr<Stream*> CreateStream(std::string_view name,
                                       const StreamOptions& options) override {
    return real_->CreateStream(name, options);
  }
  absl::StatusOr<Stream*> OpenStream(std::string_view name) override {
    return &stream(std::string(name));
  }
  std::vector<std::string> ListStreams() override { return real_->ListStreams(); }
  absl::StatusOr<Queue*> CreateQueue(std::string_view name,
                                     const QueueOptions& options) override {
    return real_->CreateQueue(name, options);
  }
  absl::StatusOr<Queue*> OpenQueue(std::string_view name) override {
    return real_->OpenQueue(name);
  }
  std::vector<std::string> ListQueues() override { return real_->ListQueues(); }
  absl::Status Flush() override { return real_->Flush(); }
  absl::Status Wait(const CommitToken& token, absl::Duration timeout) override {
    return real_->Wait(token, timeout);
  }
  absl::StatusOr<TransactResult> Transact(
      const std::function<absl::Status(Transaction&)>& work) override {
    return real_->Transact(work);
  }
  absl::StatusOr<std::vector<SqlRow>> Query(std::string_view statement,
                                            const std::vector<SqlValue>& parameters) override {
    return real_->Query(statement, parameters);
  }
  absl::Duration Pump() override { return real_->Pump(); }
  StoreStats Stats() override { return real_->Stats(); }

 private:
  Store* const real_;
  std::map<std::string, std::unique_ptr<FaultyStream>> streams_;
};

}  // namespace eddy::forward

#endif  // EDDY_TESTS_UNIT_FORWARD_FAULTY_STORE_H_
