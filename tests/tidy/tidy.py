#!/usr/bin/env python3
"""Reads the tree and fails where it breaks a rule of the house.

    tidy.py [ROOT]         checks the tree (by default the one this file is in)
    tidy.py --self-test    plants each violation in a scratch tree and sees it caught

Rules, by the name that a violation is reported under:
  arrow         a room includes only the rooms below it (ROOMS)
  library       each foreign library is included in one room only (LIBRARIES)
  os-header     headers of the operating system stay in platform/ (programs that
                use the library, examples and tests, may have their own need)
  stream-header no iostream, sstream, fstream or regex in the library: they cost
                hundreds of KiB in a static binary
  clock         only platform/ reads a clock, draws a random number or sleeps
  length        a source file has at most 500 lines (a warning comes at 400)
  machine       no path of one machine and no package registry's host name
  top-level     the top of the tree holds the agreed entries only
  switched-off  no test is disabled, hidden or allowed to fail
  header        a comment first, then an include guard

Standard library only. A rule that grows here also grows in planted.py.
"""

import os
import pathlib
import re
import sys

# --- What is allowed -------------------------------------------------------

PUBLIC = "include/eddy"
LINES_MAX = 500
LINES_WARN = 400

# Room: the rooms and files that it may include, besides itself. A trailing slash
# names a room with all that is in it; anything else is one file.
ROOMS = {
    PUBLIC: [],
    "src/base": ["include/eddy/"],
    "src/runtime": ["include/eddy/", "src/base/"],
    "src/sql": ["include/eddy/", "src/base/"],
    "src/log": ["include/eddy/", "src/base/", "src/runtime/", "src/sql/"],
    "src/stream": ["include/eddy/", "src/base/", "src/runtime/", "src/sql/", "src/log/",
                   "platform/crypto/digest.h"],
    "src/queue": ["include/eddy/", "src/base/", "src/runtime/", "src/sql/", "src/log/",
                  "platform/crypto/digest.h"],
    "src/topic": ["include/eddy/", "src/base/", "src/runtime/", "src/sql/", "src/log/",
                  "src/stream/", "src/queue/"],
    "src/consume": ["include/eddy/", "src/base/", "src/runtime/", "src/sql/", "src/log/",
                    "src/stream/", "src/queue/", "src/topic/"],
    "src/aws": ["include/eddy/", "src/base/", "platform/crypto/"],
    "src/store": ["include/eddy/", "src/base/", "src/runtime/", "src/sql/", "src/log/",
                  "src/stream/", "src/queue/", "src/topic/", "src/consume/"],
    "src/forward": ["include/eddy/", "src/base/", "src/runtime/", "src/sql/", "src/log/",
                    "src/stream/", "src/queue/", "src/topic/", "src/consume/", "src/aws/",
                    "src/store/"],
    "src/cli": ["include/eddy/", "src/base/", "src/sql/", "src/log/", "src/stream/", "src/queue/"],
    "platform/posix": ["include/eddy/", "src/base/"],
    "platform/curl": ["include/eddy/", "src/base/"],
    "platform/crypto": ["include/eddy/", "src/base/"],
    "examples": ["include/eddy/"],
    "tests": ["include/eddy/", "src/", "platform/", "examples/"],
}

# Foreign headers and the rooms that may name them; tests may name all.
LIBRARIES = [
    (r"sqlite3\w*\.h", ["src/sql"]),
    (r"curl/.*", ["platform/curl"]),
    (r"(mbedtls|psa)/.*", ["platform/crypto"]),
    (r"openssl/.*", []),
    (r"xxhash\.h", ["src/log"]),
    (r"rapidjson/.*", ["src/aws"]),
    (r"catch2/.*", []),
]
# What a public header may name of Abseil: the types that the API speaks.
PUBLIC_ABSL = r"absl/(status|time)/.*"

OS_HEADERS = (r"(sys|linux|asm|netinet|arpa|net|mach)/.*|windows\.h|"
              r"(unistd|fcntl|pthread|sched|poll|netdb|dirent|dlfcn|termios|pwd|grp|"
              r"semaphore|mqueue|spawn|ucontext|syslog|glob|ftw)\.h")
STREAM_HEADERS = r"iostream|sstream|fstream|ostream|istream|iomanip|regex|syncstream|strstream"

CLOCK = re.compile(r"""
    \b(system_clock|steady_clock|high_resolution_clock)::now\b
  | \busing\s+\w+\s*=\s*std::chrono::\w+_clock\b
  | \babsl::(Now|GetCurrentTimeNanos|SleepFor|BitGen|InsecureBitGen)\b
  | \b(clock_gettime|clock_nanosleep|gettimeofday|nanosleep|usleep|getrandom|getentropy|
       arc4random\w*|rand_r|drand48|timespec_get)\s*\(
  | (?<![\w.>])(rand|srand|sleep)\s*\(
  | (?<![\w.>])time\s*\(\s*(NULL|nullptr|0|&\s*\w+)\s*\)
  | \bstd::(random_device|clock|this_thread::sleep_(for|until))\b
""", re.X)
# Programs may look at the clock; tests only where the real one is the subject.
# unit/platform tests the ports to the real world; sigkill_* kill real
# processes at moments of real time.
CLOCK_ALLOWED = ("platform/", "examples/", "tests/bench/", "tests/stress/", "tests/integration/",
                 "tests/unit/platform/", "tests/crash/sigkill_")
# May skip, and say so, where what they need lies outside the tree and is absent.
SKIP_ALLOWED = ("tests/contract/aws/sigv4_vectors_test.cc",)

TOP_LEVEL = {"include", "src", "platform", "tests", "examples", "toolchains", "CMakeLists.txt",
             "CMakePresets.json", "README.md", "LICENSE", "CHANGELOG.md"}
# Not the project's: build output and what a developer keeps for himself.
LEFT_OUT = re.compile(r"build|build-.*|node_modules|\.git|\.cache|__pycache__|CMakeUserPresets\.json")

CODE = {".h", ".hpp", ".c", ".cc", ".cpp"}
SCRIPT = {".js", ".mjs", ".cjs", ".ts"}

# Patterns are spelled so that this file does not match itself.
MACHINE_PATH = re.compile(r"(?<![\w./$}~-])/(home/[a-z]|root[/]|Users/\w)[\w./-]*")
REGISTRY = re.compile(r"https?://[\w.-]*(regist[r]y|mirro[r]|artifac[t]|deb\.debia[n]|"
                      r"pyp[i]\.|npmj[s]|archive\.ubunt[u])[\w.-]*", re.I)
HIDDEN_TEST = re.compile(r"\[\.[^\]]*\]|\[!(mayfail|shouldfail)\]")
TEST_HEAD = re.compile(r"\b(?:\w*TEST_CASE\w*|SCENARIO\w*)\s*\((.*?)\)\s*\{", re.S)
SKIPPED_TEST = re.compile(r"\b(SKIP|GTEST_SKIP)\s*\(|\bDISABLED_\w|^[ \t]*#[ \t]*if[ \t]+(0|false)\b",
                          re.M)
SKIPPED_SCRIPT = re.compile(r"\b(test|it|describe|suite|t)\.(skip|todo|only)\b|\b(skip|todo)\s*:\s*"
                            r"(true|['\"`])|\bxit\s*\(")
SKIPPED_CMAKE = re.compile(r"\bDISABLED\s+(TRUE|ON|1|YES)\b|\bWILL_FAIL\b", re.I)

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


# --- Reading ---------------------------------------------------------------

# Comments, and strings and characters with what they hold.
TOKEN = re.compile(r"""
    (?P<comment> //[^\n]* | /\*.*?\*/ )
  | (?P<raw> R"(?P<mark>[^\s()\\]{0,16})\(.*?\)(?P=mark)" )
  | (?P<string> "(?:\\.|[^"\\\n])*" | (?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+' )
""", re.X | re.S)


def blank(text, strings):
    """`text` with comments, and if asked strings, replaced by blanks line for line."""
    def keep_lines(match):
        if match.lastgroup != "comment" and match.group("comment") is None and not strings:
            return match.group()
        return re.sub(r"[^\n]", " ", match.group())
    return TOKEN.sub(keep_lines, text)


class Tree:
    """The files of the tree, and the violations found so far."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.errors = []    # (rule, path, line, message)
        self.warnings = []
        self.files = []     # relative, with forward slashes
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(d for d in folders if not LEFT_OUT.fullmatch(d))
            for name in sorted(names):
                if not LEFT_OUT.fullmatch(name):
                    path = pathlib.Path(folder, name)
                    self.files.append(path.relative_to(self.root).as_posix())

    def read(self, path):
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def error(self, rule, path, message, text="", offset=0):
        self.errors.append((rule, path, text.count("\n", 0, offset) + 1, message))

    def warn(self, rule, path, message):
        self.warnings.append((rule, path, 1, message))


def room_of(path):
    rooms = [room for room in ROOMS if path.startswith(room + "/")]
    return max(rooms, key=len, default=None)


def is_library(path):
    return path.startswith(("include/", "src/", "platform/"))


# --- Rules -----------------------------------------------------------------

def included_path(tree, path, name):
    """The file in the tree that `#include "name"` in `path` means, or None."""
    if name.startswith("eddy/"):
        return "include/" + name
    if name.startswith(("src/", "platform/", "tests/", "examples/", "include/")):
        return name
    beside = os.path.normpath(pathlib.PurePosixPath(path).parent / name)
    return beside if name.startswith(".") or (tree.root / beside).exists() else None


def check_includes(tree, path, text):
    room = room_of(path)
    if room is None:
        tree.error("arrow", path, "this file is in no room; add the room to ROOMS in tidy.py")
        return
    for include in INCLUDE.finditer(blank(text, strings=False)):
        name = include.group(2)
        at = (text, include.start())

        target = included_path(tree, path, name)
        if target is not None:
            own = target.startswith(room + "/")
            if not own and not any(target.startswith(a) if a.endswith("/") else target == a
                                   for a in ROOMS[room]):
                tree.error("arrow", path, f"{room} may not include {target}", *at)
            continue

        for pattern, rooms in LIBRARIES:
            if re.fullmatch(pattern, name) and room != "tests" and room not in rooms:
                where = " and ".join(rooms + ["tests"])
                tree.error("library", path, f"<{name}> belongs in {where} only", *at)
        if room == PUBLIC and name.startswith("absl/") and not re.fullmatch(PUBLIC_ABSL, name):
            tree.error("library", path, f"public headers use absl/status and absl/time, not {name}",
                       *at)
        if re.fullmatch(OS_HEADERS, name) and is_library(path) and not path.startswith("platform/"):
            tree.error("os-header", path, f"<{name}> belongs in platform/ only", *at)
        if re.fullmatch(STREAM_HEADERS, name) and is_library(path) and room != "src/cli":
            tree.error("stream-header", path, f"<{name}> is too large for the library", *at)


def check_clock(tree, path, text):
    if path.startswith(CLOCK_ALLOWED):
        return
    for use in CLOCK.finditer(blank(text, strings=True)):
        tree.error("clock", path, f"{' '.join(use.group().split())}: time, sleep and chance come "
                   "from platform.h", text, use.start())


def check_length(tree, path, text):
    lines = text.count("\n")
    if lines > LINES_MAX:
        tree.error("length", path, f"{lines} lines: it has two subjects, so it is two files")
    elif lines > LINES_WARN:
        tree.warn("length", path, f"{lines} lines of at most {LINES_MAX}")


def check_header(tree, path, text):
    if not text.startswith(("//", "/*")):
        tree.error("header", path, "begins without a comment that says what it is")
    name = re.sub(r"\W", "_", pathlib.PurePosixPath(path).name).upper() + "_"
    full = "EDDY_" + name if room_of(path) == PUBLIC else name
    guard = re.search(r"^#ifndef (\w+)\n#define \1\n", text, re.M)
    if guard is None or not guard.group(1).endswith(full) or INCLUDE.search(text[:guard.start()]):
        tree.error("header", path, f"has no include guard ending in {full} before its code")
    elif not re.search(r"#endif[^\n]*\s*\Z", text):
        tree.error("header", path, "goes on after its include guard")


def check_switched_off(tree, path, text):
    name = path.rsplit("/", 1)[-1]
    suffix = pathlib.PurePosixPath(path).suffix
    found = []
    if suffix in CODE:
        code = blank(text, strings=False)
        for head in TEST_HEAD.finditer(code):
            found += [head.start(1) + hit.start() for hit in HIDDEN_TEST.finditer(head.group(1))]
        found += [hit.start() for hit in SKIPPED_TEST.finditer(blank(text, strings=True))
                  if hit.group(1) != "SKIP" or path not in SKIP_ALLOWED]
    elif suffix in SCRIPT:
        found = [hit.start() for hit in SKIPPED_SCRIPT.finditer(blank(text, strings=False))]
    elif name == "CMakeLists.txt" or suffix == ".cmake":
        found = [hit.start() for hit in SKIPPED_CMAKE.finditer(re.sub(r"#.*", "", text))]
    for offset in found:
        tree.error("switched-off", path, "a test that is switched off: fix it or delete it",
                   text, offset)


def machine_words(root):
    """Names of this machine: the tree's own place, its home, and its apt hosts."""
    words = set()
    standard = "/ /bin /boot /dev /etc /home /lib /media /mnt /opt /proc /root /run /sbin /srv " \
               "/sys /tmp /usr /var".split()
    for place in (root, root.parent, pathlib.Path.home()):
        place = place.as_posix()
        if place not in standard and not place.startswith(("/tmp/", "/var/tmp/")):
            words.add(re.compile(r"(?<![\w./$}~-])" + re.escape(place) + r"(?![\w-])"))
    sources = [pathlib.Path("/etc/apt/sources.list")]
    sources += pathlib.Path("/etc/apt/sources.list.d").glob("*.*")
    for file in sources:
        try:
            urls = re.findall(r"://(?:[^/\s@]*@)?([\w.-]+\.[a-z]+)", file.read_text())
        except (OSError, UnicodeDecodeError):
            continue
        words.update(re.compile(r"(?<![\w.-])" + re.escape(host)) for host in urls)
    return words


def check_machine(tree, path, text, words):
    for pattern in [MACHINE_PATH, REGISTRY, *words]:
        hit = pattern.search(text)
        if hit:
            tree.error("machine", path, f"names one machine or registry: {hit.group()}", text,
                       hit.start())
            break
    if path.endswith("package-lock.json"):
        hit = re.search(r'"resolved"\s*:', text)
        if hit:
            tree.error("machine", path, "names the registry it was resolved from", text, hit.start())


def check_top_level(tree):
    for entry in sorted(p.name for p in tree.root.iterdir()):
        if entry not in TOP_LEVEL and not entry.startswith(".") and not LEFT_OUT.fullmatch(entry):
            tree.error("top-level", entry, "does not belong at the top of the tree")


def check(root):
    tree = Tree(root)
    words = machine_words(tree.root)
    check_top_level(tree)
    for path in tree.files:
        text = tree.read(path)
        if "\0" in text:
            continue
        check_machine(tree, path, text, words)
        suffix = pathlib.PurePosixPath(path).suffix
        if path.startswith(("tests/", "examples/")):
            check_switched_off(tree, path, text)
        if suffix not in CODE or not path.startswith(("include/", "src/", "platform/", "tests/",
                                                      "examples/")):
            continue
        check_includes(tree, path, text)
        check_clock(tree, path, text)
        if is_library(path):
            check_length(tree, path, text)
        if suffix in {".h", ".hpp"}:
            check_header(tree, path, text)
    return tree


def main(arguments):
    if arguments == ["--self-test"]:
        sys.dont_write_bytecode = True
        import planted
        return planted.self_test(sys.modules[__name__])
    if len(arguments) > 1 or any(a.startswith("-") for a in arguments):
        print(__doc__)
        return 2
    root = arguments[0] if arguments else pathlib.Path(__file__).resolve().parents[2]
    tree = check(root)
    for rule, path, line, message in tree.warnings:
        print(f"{path}:{line}: warning: {rule}: {message}")
    for rule, path, line, message in tree.errors:
        print(f"{path}:{line}: {rule}: {message}")
    print(f"tidy: {len(tree.files)} files read, {len(tree.errors)} violations, "
          f"{len(tree.warnings)} warnings")
    return 1 if tree.errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
