#include <cstdio>
#include <string>

#include "eddy/eddy.h"

int main(int argc, char** argv) {
  auto store = eddy::Store::Open(argc > 1 ? argv[1] : "first-store").value();
  auto stream = store->OpenStream("telemetry");
  if (!stream.ok()) stream = store->CreateStream("telemetry");

  // Accepted without a lock or a system call, and already safe from SIGKILL.
  (*stream)->Put("pump-7", R"({"pressure": 4.2})").value();

  const std::string oldest = (*stream)->GetShardIterator(0, {}).value();
  for (const eddy::Record& record : (*stream)->GetRecords(oldest).value().records) {
    std::printf("%s: %s\n", std::string(record.partition_key).c_str(),
                std::string(record.data).c_str());
  }
}
