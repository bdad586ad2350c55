#!/usr/bin/env python3
"""What compilers and formatters cannot know: arrows between folders, sizes, banned calls, leftovers.

Run without arguments it checks the tree; `--self-test` plants one mistake of each kind in memory
and fails unless every one is found.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("base", "bidding", "storage", "pubsub", "ws", "static", "app", "bench")
# Which folders a folder may include; everything may include its own.
ARROWS = {
    "base": (),
    "bidding": ("base",),
    "storage": ("bidding", "base"),
    "pubsub": ("bidding", "base"),
    "ws": ("bidding", "base"),
    "static": ("bidding", "base"),
    "app": ("ws", "storage", "pubsub", "static", "bidding", "base"),
    "bench": ("storage", "bidding", "base"),
}
PURE = {"base/assert.h", "base/attributes.h", "base/sha256.h"}
# A third party's header stays behind one file, or the few named here.
THIRD_PARTY = {
    "jansson.h": ("base/json.c",),
    "sqlite3.h": ("storage/sqlite.c",),
    "libpq-fe.h": ("storage/postgres_link.h",),
    "amqp.h": ("storage/rabbit_parts.h",),
    "amqp_framing.h": ("storage/rabbit_parts.h",),
    "amqp_ssl_socket.h": ("storage/rabbit_connect.c",),
    "amqp_tcp_socket.h": ("storage/rabbit_connect.c",),
    "libwebsockets.h": ("ws/server.c",),
    "uv.h": ("ws/server.c", "ws/listener.c", "app/loop.c", "base/redis.c", "base/redis_wire.c",
             "pubsub/bus_redis_thread.c"),
    "hiredis/hiredis.h": ("base/redis_wire.c", "base/redis_reply.c"),
    "zlib.h": ("static/pack_compress.c",),
    "brotli/encode.h": ("static/pack_compress.c",),
}
BANNED = {
    r"\b(strcpy|strcat)\(": "copy with a known length (memcpy)",
    r"\b(sprintf|vsprintf)\(": "use snprintf or base/text.h",
    r"\batoi\(|\batol\(": "use strtoll and look at its end",
    r"\bstrtok\(": "walk the text by hand",
    r"\bgoto\b": "leave early, bind the cleanup to the variable",
}
TIME = re.compile(r"\b(gettimeofday|time|clock_gettime)\(")
TIME_MAY = ("base/clock.c", "app/watchdog.c")
MALLOC = re.compile(r"\b(malloc|calloc|realloc|free)\(")
LEFTOVERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
INCLUDE = re.compile(r'^#\s*include\s+[<"]([^>"]+)[>"]', re.M)
FILE_LINES, FUNCTION_LINES, COLUMNS = 500, 70, 100


def strip_comments(text):
    """The code with comments and string literals blanked, lines kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def functions(code):
    """(line, length) of every function body: a brace in column 0 to the next in column 0."""
    start = None
    for number, line in enumerate(code.split("\n"), 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            yield start, number - start - 1
            start = None


def check_includes(name, folder, text):
    for path in INCLUDE.findall(text):
        target = path.split("/")[0]
        if path in THIRD_PARTY and name not in THIRD_PARTY[path]:
            yield f"{name}: includes {path}, which belongs behind {THIRD_PARTY[path][0]}"
        if target in ARROWS and target != folder and target not in ARROWS[folder]:
            yield f"{name}: {folder}/ may not include {path}"
        if folder == "bidding" and target == "base" and path not in PURE:
            yield f"{name}: the pure core may not include {path}"


def check_code(name, folder, code):
    for pattern, instead in BANNED.items():
        for match in re.finditer(pattern, code):
            line = code[: match.start()].count("\n") + 1
            yield f"{name}:{line}: {match.group().rstrip('(')}: {instead}"
    if name not in TIME_MAY and folder != "bench" and TIME.search(code):
        yield f"{name}: reads time; only base/clock.c does"
    if folder == "bidding" and MALLOC.search(code):
        yield f"{name}: the pure core allocates nothing"
    for line, length in functions(code):
        if length > FUNCTION_LINES:
            yield f"{name}:{line}: a function of {length} lines; at most {FUNCTION_LINES}"


def check_file(name, text):
    folder = name.split("/")[0]
    lines = text.split("\n")
    if len(lines) - 1 > FILE_LINES:
        yield f"{name}: {len(lines) - 1} lines; at most {FILE_LINES}"
    is_table = name.endswith(".def")
    for number, line in enumerate(lines, 1):
        if "clang-format off" in line or "clang-format on" in line:
            is_table = "clang-format off" in line or name.endswith(".def")
        if len(line) > COLUMNS and not is_table:
            yield f"{name}:{number}: {len(line)} columns; at most {COLUMNS}"
    if LEFTOVERS.search(text):
        yield f"{name}: a leftover: {LEFTOVERS.search(text).group()}"
    if name.endswith(".h") and not text.lstrip().startswith("/*"):
        yield f"{name}: a header opens with what it is for"
    if name.endswith(".h") and "#pragma once" not in text:
        yield f"{name}: #pragma once is missing"
    if folder in ARROWS:
        yield from check_includes(name, folder, text)
        yield from check_code(name, folder, strip_comments(text))


def check_ports():
    """Every port has a contract suite."""
    for port in ("ledger", "journal", "store", "bus"):
        if not (ROOT / f"tests/contract/{port}_contract.c").exists():
            yield f"tests/contract/{port}_contract.c: the port {port} has no contract suite"


def check_rows():
    """What a table promises to whoever runs a server is there: a metric moves, a setting is read."""
    sources = [path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*.[ch]")]
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    metrics = (ROOT / "base/metrics.def").read_text(encoding="utf-8")
    settings = (ROOT / "app/settings.def").read_text(encoding="utf-8")
    for name in re.findall(r"^QB_METRIC\(\w+,\s*(\w+)", metrics, re.M):
        if not re.search(rf"\bQB_METRIC_{name}\b", code):
            yield f"base/metrics.def: {name} is never moved"
    for name in re.findall(r"^QB_SETTING\(\w+,\s*(\w+)", settings, re.M):
        if not re.search(rf"(->|\.)\s*{name}\b", code):
            yield f"app/settings.def: {name} is never read"


PLANTED = {
    "base/a.c": '#include "bidding/lot.h"\n',
    "bidding/a.c": '#include "base/log.h"\n',
    "bidding/b.c": "void f(void)\n{\n    malloc(1);\n}\n",
    "ws/a.c": '#include "storage/store.h"\n',
    "ws/b.c": "#include <jansson.h>\n",
    "app/a.c": "void f(void)\n{\n    strcpy(a, b);\n}\n",
    "app/b.c": "void f(void)\n{\n    x = time(NULL);\n}\n",
    "app/c.c": "void f(void)\n{\n" + "    x++;\n" * 71 + "}\n",
    "app/d.c": "\n" * 501,
    "app/e.c": "/* TO" + "DO */\n",
    "app/f.h": "int x;\n",
    "app/g.c": "x" * 101 + "\n",
}


def main():
    if "--self-test" in sys.argv:
        missed = [name for name, text in PLANTED.items() if not list(check_file(name, text))]
        print(f"{len(PLANTED) - len(missed)} passed, {len(missed)} failed")
        return 1 if missed else 0
    problems = list(check_ports()) + list(check_rows())
    for path in sorted(ROOT.glob("*/**/*.[ch]")) + sorted(ROOT.glob("*/*.def")):
        name = path.relative_to(ROOT).as_posix()
        if name.split("/")[0] in FOLDERS + ("tests",):
            problems += check_file(name, path.read_text(encoding="utf-8"))
    print("\n".join(problems) if problems else "tidy")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
