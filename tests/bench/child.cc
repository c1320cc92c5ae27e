#include "tests/bench/child.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/bench/bench.h"

namespace eddy::bench {

std::vector<double> RunInChild(const std::string& part, const std::vector<std::string>& arguments,
                               bool killed) {
  std::vector<std::string> words = {"eddy_bench", "--child", part};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int ends[2];
  if (pipe(ends) != 0) Die("pipe failed");
  const pid_t child = fork();
  if (child < 0) Die("fork failed");
  if (child == 0) {  // other threads may have held any lock: system calls only
    if (dup2(ends[1], STDOUT_FILENO) < 0) _exit(2);
    close(ends[0]);
    close(ends[1]);
    execv("/proc/self/exe", argv.data());
    _exit(2);
  }
  close(ends[1]);
  std::FILE* const from = fdopen(ends[0], "r");
  if (from == nullptr) Die("fdopen failed");
  std::vector<double> numbers;
  for (double number = 0; std::fscanf(from, "%lf", &number) == 1;) numbers.push_back(number);
  std::fclose(from);
  int status = 0;
  if (waitpid(child, &status, 0) != child) Die("waitpid failed");
  const bool as_wanted = killed ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                                : WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!as_wanted) Die("the part " + part + " did not end as it should");
  return numbers;
}

}  // namespace eddy::bench
