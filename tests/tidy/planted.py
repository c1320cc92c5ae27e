"""The check of the check: a clean tree, and each violation that must be caught in it."""

import pathlib
import tempfile

HEADER = "// What it is.\n#ifndef EDDY_{0}_H_\n#define EDDY_{0}_H_\n{1}\n#endif  // EDDY_{0}_H_\n"


def header(name, body=""):
    return HEADER.format(name, body)


# A tree with nothing wrong in it, and with much that only looks wrong.
CLEAN = {
    "CMakeLists.txt": "project(x)\n",
    "include/eddy/a.h": header("A", '#include <string>\n#include "absl/time/time.h"\n'
                                    '#include "eddy/b.h"'),
    "include/eddy/b.h": header("B"),
    "src/base/hash.cc": "#include <cstdint>\n",
    "src/sql/database.cc": '#include <sqlite3.h>\n#include "src/base/hash.h"\n',
    "src/log/log.cc": '#include <xxhash.h>\n#include "src/sql/database.h"\n#include "src/runtime/task.h"\n'
                      '// #include "src/queue/queue.h"\n'
                      "/* absl::Now() */ const char* s = \"absl::Now() \\\" time(nullptr)\";\n"
                      "const char* r = R\"(\" std::rand() \")\";\n"
                      "int big = 1'000'000; auto t = clock.time(0); auto now = clock.Now();\n",
    "src/stream/stream.cc": '#include "platform/crypto/digest.h"\n',
    "src/forward/forward.cc": '#include "src/aws/sign.h"\n#include "src/queue/queue.h"\n',
    "src/cli/main.cc": "#include <iostream>\n",
    "src/cli/local.cc": '#include "local.h"\n',
    "src/cli/local.h": header("LOCAL"),
    "platform/posix/clock.cc": "#include <unistd.h>\nauto t = std::chrono::steady_clock::now();\n",
    "platform/curl/http.cc": "#include <curl/curl.h>\n",
    "platform/crypto/digest.cc": "#include <mbedtls/md.h>\n",
    "tests/unit/log/log_test.cc": '#include <sqlite3.h>\n#include <unistd.h>\n#include <sstream>\n'
                                  '#include "src/log/log.h"\n'
                                  'TEST_CASE("it works", "[log][time]") { f("[.]", "[!mayfail]"); }\n',
    "tests/bench/bench.cc": "auto t = absl::Now();\n",
    "tests/peers/a.test.js": "test('skip: nothing', () => {});\n",
    "tests/peers/package-lock.json": '{"integrity": "x"}\n',
    "tests/unit/long_test.cc": "\n" * 600,
    "tests/contract/aws/sigv4_vectors_test.cc": 'TEST_CASE("a") { SKIP("no vectors here"); }\n',
    "examples/a.cc": '#include <iostream>\n#include <unistd.h>\n#include "eddy/a.h"\nauto t = absl::Now();\n',
    "README.md": "Data lies in /var/lib/eddy.\n",
    "build/junk.h": "#include <curl/curl.h>\n",
    ".gitignore": "/build/\n",
}

# What must be caught: (rule, path, content).
PLANTED = [
    ("arrow", "src/base/x.cc", '#include "src/log/log.h"\n'),
    ("arrow", "src/stream/x.cc", '#include "src/queue/queue.h"\n'),
    ("arrow", "src/queue/x.cc", '#include "src/stream/stream.h"\n'),
    ("arrow", "src/stream/x.cc", '#include "platform/crypto/hmac.h"\n'),
    ("arrow", "src/stream/x.cc", '#include "platform/posix/clock.h"\n'),
    ("arrow", "src/stream/x.cc", '  #  include "../queue/queue.cc"\n'),
    ("arrow", "src/aws/x.cc", '#include "src/log/log.h"\n'),
    ("arrow", "src/aws/x.cc", '#include "src/sql/database.h"\n'),
    ("arrow", "src/log/x.cc", '#include "src/store/store.h"\n'),
    ("arrow", "src/sql/x.cc", '#include "src/runtime/task.h"\n'),
    ("arrow", "src/cli/x.cc", '#include "src/forward/queue.h"\n'),
    ("arrow", "src/log/x.cc", '#include "tests/fakes/clock.h"\n'),
    ("arrow", "platform/curl/x.cc", '#include "platform/crypto/digest.h"\n'),
    ("arrow", "platform/posix/x.cc", '#include "src/runtime/task.h"\n'),
    ("arrow", "include/eddy/x.h", header("X", '#include "src/base/hash.h"')),
    ("arrow", "examples/x.cc", '#include "src/base/hash.h"\n'),
    ("arrow", "src/newroom/x.cc", "\n"),
    ("library", "src/log/x.cc", "#include <sqlite3.h>\n"),
    ("library", "src/log/x.cc", '#include "sqlite3.h"\n'),
    ("library", "examples/x.cc", "#include <sqlite3.h>\n"),
    ("library", "src/forward/x.cc", "#include <curl/curl.h>\n"),
    ("library", "src/aws/x.cc", "#include <mbedtls/md.h>\n"),
    ("library", "platform/posix/x.cc", "#include <openssl/md5.h>\n"),
    ("library", "src/queue/x.cc", "#include <xxhash.h>\n"),
    ("library", "src/stream/x.cc", "#include <rapidjson/reader.h>\n"),
    ("library", "include/eddy/x.h", header("X", '#include "absl/strings/string_view.h"')),
    ("os-header", "src/log/x.cc", "#include <unistd.h>\n"),
    ("os-header", "src/log/x.cc", "#include <sys/mman.h>\n"),
    ("os-header", "src/cli/x.cc", "#include <fcntl.h>\n"),
    ("os-header", "include/eddy/x.h", header("X", "#include <pthread.h>")),
    ("stream-header", "src/log/x.cc", "#include <sstream>\n"),
    ("stream-header", "platform/posix/x.cc", "#include <fstream>\n"),
    ("stream-header", "include/eddy/x.h", header("X", "#include <iostream>")),
    ("stream-header", "src/aws/x.cc", "#include <regex>\n"),
    ("clock", "src/log/x.cc", "auto t = std::chrono::system_clock::now();\n"),
    ("clock", "src/log/x.cc", "auto t = std::chrono::steady_clock::now();\n"),
    ("clock", "src/log/x.cc", "using C = std::chrono::steady_clock;\n"),
    ("clock", "src/log/x.cc", "auto t = absl::Now();\n"),
    ("clock", "src/log/x.cc", "clock_gettime(CLOCK_REALTIME, &ts);\n"),
    ("clock", "src/log/x.cc", "auto t = std::time(nullptr);\n"),
    ("clock", "src/log/x.cc", "auto t = time(&now);\n"),
    ("clock", "src/log/x.cc", "int r = rand();\n"),
    ("clock", "src/log/x.cc", "int r = std::rand();\n"),
    ("clock", "src/log/x.cc", "std::random_device d;\n"),
    ("clock", "include/eddy/x.h", header("X", "inline auto f() { return absl::Now(); }")),
    ("clock", "tests/unit/x.cc", "std::this_thread::sleep_for(a);\n"),
    ("clock", "tests/contract/x.cc", "absl::SleepFor(a);\n"),
    ("clock", "src/log/x.cc", "// it's a quote\nauto t = absl::Now();  // it's\n"),
    ("length", "src/log/x.cc", "\n" * 501),
    ("length", "platform/posix/x.h", header("X", "\n" * 500)),
    ("machine", "src/log/x.cc", "// see /hom" + "e/someone/x\n"),
    ("machine", "README.md", "run it in /roo" + "t/work\n"),
    ("machine", "tests/x.sh", "curl https://regis" + "try.example.org/x\n"),
    ("machine", "toolchains/x.sh", "deb http://deb.debia" + "n.org/debian\n"),
    ("machine", "tests/peers/package-lock.json", '{"resolved": "x"}\n'),
    ("top-level", "notes.md", "\n"),
    ("top-level", "docs/x.md", "\n"),
    ("switched-off", "tests/unit/x.cc", 'TEST_CASE("a",\n  "[log][.]") {}\n'),
    ("switched-off", "tests/unit/x.cc", 'TEST_CASE("a", "[.slow]") {}\n'),
    ("switched-off", "tests/unit/x.cc", 'TEST_CASE("a", "[!mayfail]") {}\n'),
    ("switched-off", "tests/unit/x.cc", 'TEST_CASE_METHOD(F, "a", "[!shouldfail]") {}\n'),
    ("switched-off", "tests/unit/x.cc", 'TEST_CASE("a") { SKIP("later"); }\n'),
    ("switched-off", "tests/unit/x.cc", "#if 0\nTEST_CASE(\"a\") {}\n#endif\n"),
    ("switched-off", "tests/peers/x.test.js", "test.skip('a', f);\n"),
    ("switched-off", "tests/peers/x.test.js", "test('a', {skip: true}, f);\n"),
    ("switched-off", "tests/CMakeLists.txt", "set_tests_properties(a PROPERTIES DISABLED TRUE)\n"),
    ("header", "include/eddy/x.h", "#ifndef EDDY_X_H_\n#define EDDY_X_H_\n#endif\n"),
    ("header", "include/eddy/x.h", "// x\n#pragma once\n"),
    ("header", "include/eddy/x.h", "// x\n#ifndef EDDY_Y_H_\n#define EDDY_Y_H_\n#endif\n"),
    ("header", "include/eddy/x.h", header("X") + "int late;\n"),
    ("header", "src/log/x.h", "// x\n"),
]


def plant(files):
    """A scratch tree with `files`; the caller removes it."""
    folder = tempfile.TemporaryDirectory(prefix="tidy-")
    for path, content in files.items():
        file = pathlib.Path(folder.name, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return folder


def self_test(tidy):
    failures = []
    with plant(CLEAN) as root:
        for rule, path, line, message in tidy.check(root).errors:
            failures.append(f"found in a clean tree: {path}:{line}: {rule}: {message}")
    for rule, path, content in PLANTED:
        with plant({**CLEAN, path: content}) as root:
            found = tidy.check(root).errors
            name = path.split("/")[0] if rule == "top-level" else path
            if [(r, p) for r, p, _, _ in found] != [(rule, name)]:
                failures.append(f"{rule} in {path}: planted {content[:60]!r}, found {found}")
    with plant({**CLEAN, "src/log/x.cc": "\n" * 401}) as root:
        tree = tidy.check(root)
        if tree.errors or [w[0] for w in tree.warnings] != ["length"]:
            failures.append("401 lines must be a warning and no more")
    with plant({"src/log/x.cc": "int a;\n\nint b = rand();\n"}) as root:
        if [line for _, _, line, _ in tidy.check(root).errors] != [3]:
            failures.append("a violation on line 3 must be reported there")
    words = tidy.machine_words(pathlib.Path("/srv/someone/eddy"))
    for text, caught in [("cd /srv/someone/eddy/x", True), ("cd /srv/someone/eddy", True),
                         ("/data/srv/someone/eddy", False), ("/srv/someone/eddy-2", True),
                         ("/srv/someoneelse", False)]:
        if any(word.search(text) for word in words) != caught:
            failures.append(f"a path of this machine, {text!r}: caught must be {caught}")
    for failure in failures:
        print(failure)
    print(f"tidy self-test: {len(PLANTED)} violations planted, {len(failures)} failures")
    return 1 if failures else 0
