#include <cstdio>

#include "eddy/eddy.h"

int main(int argc, char** argv) {
  auto store = eddy::Store::Open(argc > 1 ? argv[1] : "first-store").value();
  auto stream = store->OpenStream("telemetry");
  if (!stream.ok()) stream = store->CreateStream("telemetry");

  // Accepted without a lock or a system call, and already safe from SIGKILL.
  (*stream)->Put("pump-7", R"({"pressure": 4.2})").value();

  const auto oldest = (*stream)->GetShardIterator(0, {}).value();
  const auto batch = (*stream)->GetRecords(oldest).value();
  for (const eddy::Record& record : batch.records) {
    std::printf("%.*s\n", static_cast<int>(record.data.size()), record.data.data());
  }
}
