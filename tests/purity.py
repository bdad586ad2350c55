#!/usr/bin/env python3
"""The pure core stays pure: its library needs no symbol outside a short list.

purity.py LIBRARY   the built libqb_bidding.a
"""
import re
import subprocess
import sys

ALLOWED = re.compile(
    r"^(memcmp|memcpy|memmove|memset|strnlen|qb_assert_failed|qb_sha256_\w+"
    r"|__stack_chk_fail|__mem(cpy|move|set)_chk"  # what hardening makes of the above
    r"|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|tsan|sanitizer)_\w+)$"  # what sanitizers add
)


def main():
    lines = subprocess.run(["nm", "-u", sys.argv[1]], check=True, capture_output=True, text=True)
    defined = subprocess.run(
        ["nm", "--defined-only", "-g", sys.argv[1]], check=True, capture_output=True, text=True
    )
    own = {line.split()[-1] for line in defined.stdout.splitlines() if len(line.split()) == 3}
    used = {line.split()[-1] for line in lines.stdout.splitlines() if line.split()[:1] == ["U"]}
    if not used:
        print("purity: nm found no symbols; is this the library?")
        return 1
    foreign = sorted(name for name in used - own if not ALLOWED.match(name))
    for name in foreign:
        print(f"purity: bidding/ needs {name}")
    print("pure" if not foreign else f"{len(foreign)} foreign symbols")
    return 1 if foreign else 0


if __name__ == "__main__":
    sys.exit(main())
