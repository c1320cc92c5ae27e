// eddy queue send, receive, delete.
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "src/cli/commands.h"
#include "src/cli/text.h"

namespace eddy::cli {
namespace {

// The store and one of its queues.
struct Opened {
  std::unique_ptr<Store> store;
  Queue* queue = nullptr;
};

absl::StatusOr<Opened> OpenQueue(const Arguments& arguments, bool create) {
  absl::StatusOr<std::unique_ptr<Store>> store = OpenAsOwner(arguments[0], create);
  if (!store.ok()) return store.status();
  Opened opened;
  opened.store = *std::move(store);
  absl::StatusOr<Queue*> queue = opened.store->OpenQueue(arguments[1]);
  if (create && absl::IsNotFound(queue.status())) {
    queue = opened.store->CreateQueue(arguments[1]);
  }
  if (!queue.ok()) return queue.status();
  opened.queue = *queue;
  return opened;
}

}  // namespace

int RunQueueSend(const Words& words) {
  ArgumentRules rules;
  rules.flags = {"--create"};
  rules.options = {"--delay"};
  rules.positional_min = 2;
  rules.positional_max = 3;
  const absl::StatusOr<Arguments> arguments = Arguments::Parse(words, rules);
  if (!arguments.ok()) return Fail(arguments.status(), kExitUsage);
  SendOptions options;
  const absl::StatusOr<uint64_t> delay =
      arguments->Number("--delay", 0, 0, static_cast<uint64_t>(absl::ToInt64Seconds(kDelayMax)));
  if (!delay.ok()) return Fail(delay.status(), kExitUsage);
  if (arguments->Has("--delay")) options.delay = absl::Seconds(*delay);

  // Before the store is taken: a pipe may be slow.
  std::string body = arguments->size() > 2 ? (*arguments)[2] : "-";
  if (body == "-") {
    absl::StatusOr<std::string> input = ReadStandardInput();
    if (!input.ok()) return Fail(input.status());
    body = *std::move(input);
  }
  const absl::StatusOr<Opened> opened = OpenQueue(*arguments, arguments->Has("--create"));
  if (!opened.ok()) return Fail(opened.status(), kExitUsage);
  options.durability = Durability::kPower;
  const absl::StatusOr<SendResult> sent = opened->queue->Send(body, options);
  if (!sent.ok()) return Fail(sent.status());
  std::printf("%s\n", sent->message_id.c_str());
  return kExitOk;
}

int RunQueueReceive(const Words& words) {
  ArgumentRules rules;
  rules.flags = {"--delete", "--json"};
  rules.options = {"--max", "--wait"};
  rules.positional_min = rules.positional_max = 2;
  const absl::StatusOr<Arguments> arguments = Arguments::Parse(words, rules);
  if (!arguments.ok()) return Fail(arguments.status(), kExitUsage);
  const absl::StatusOr<uint64_t> count = arguments->Number("--max", 1, 1, kMessageBatchMax);
  if (!count.ok()) return Fail(count.status(), kExitUsage);
  const absl::StatusOr<uint64_t> wait = arguments->Number(
      "--wait", 0, 0, static_cast<uint64_t>(absl::ToInt64Seconds(kWaitTimeMax)));
  if (!wait.ok()) return Fail(wait.status(), kExitUsage);

  const absl::StatusOr<Opened> opened = OpenQueue(*arguments, /*create=*/false);
  if (!opened.ok()) return Fail(opened.status(), kExitUsage);
  ReceiveOptions options;
  options.max_messages = static_cast<int>(*count);
  options.wait_time = absl::Seconds(*wait);
  const absl::StatusOr<std::vector<Message>> messages = opened->queue->Receive(options);
  if (!messages.ok()) return Fail(messages.status());
  for (const Message& message : *messages) {
    if (arguments->Has("--json")) {
      std::string json = absl::StrCat(
          "{\"message_id\":", JsonString(message.message_id),
          ",\"receipt_handle\":", JsonString(message.receipt_handle),
          ",\"receive_count\":", message.receive_count,
          ",\"sent\":", JsonString(FormatTime(absl::ToUnixMillis(message.sent))), ",",
          JsonBytes("body", message.body));
      if (!message.dead_letter_reason.empty()) {
        absl::StrAppend(&json, ",\"dead_letter_source\":", JsonString(message.dead_letter_source),
                        ",\"dead_letter_reason\":", JsonString(message.dead_letter_reason));
      }
      std::printf("%s}\n", json.c_str());
    } else {
      std::printf("%s\t%d\t%s\n", message.receipt_handle.c_str(), message.receive_count,
                  OneLine(message.body).c_str());
    }
    if (!arguments->Has("--delete")) continue;
    // In this order: a message that could not be shown is not deleted.
    if (std::fflush(stdout) != 0) return kExitFailed;  // main says why
    const absl::Status deleted =
        opened->queue->Delete(message.receipt_handle, Durability::kPower);
    if (!deleted.ok()) return Fail(deleted);
  }
  return messages->empty() ? kExitNothing : kExitOk;
}

int RunQueueDelete(const Words& words) {
  ArgumentRules rules;
  rules.positional_min = 3;
  rules.positional_max = 2 + kMessageBatchMax;
  const absl::StatusOr<Arguments> arguments = Arguments::Parse(words, rules);
  if (!arguments.ok()) return Fail(arguments.status(), kExitUsage);
  const absl::StatusOr<Opened> opened = OpenQueue(*arguments, /*create=*/false);
  if (!opened.ok()) return Fail(opened.status(), kExitUsage);
  int code = kExitOk;
  for (size_t i = 2; i < arguments->size(); ++i) {
    const uint64_t stale_before = opened->queue->StaleDeletes();
    const absl::Status deleted = opened->queue->Delete((*arguments)[i], Durability::kPower);
    if (!deleted.ok()) {
      code = Fail(deleted);
    } else if (opened->queue->StaleDeletes() != stale_before) {
      code = Fail(absl::AbortedError(absl::StrCat(
          (*arguments)[i], ": not deleted, the message is gone or was received again")));
    }
  }
  return code;
}

}  // namespace eddy::cli
