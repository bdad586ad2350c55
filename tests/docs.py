#!/usr/bin/env python3
"""Tables of the documents are made by the program: docs.py BINARY checks them, docs.py BINARY
--write makes them anew between their markers (<!-- part --> … <!-- /part -->)."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = {
    "docs/operations.md": ("settings", "metrics"),
    "docs/protocol.md": ("protocol", "errors", "refusals", "closes"),
}


def main():
    differing = []
    for name, parts in PARTS.items():
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        for part in parts:
            made = subprocess.run(
                [sys.argv[1], "docs", part], check=True, capture_output=True, text=True
            ).stdout.strip()
            pattern = re.compile(rf"(<!-- {part} -->\n).*?(<!-- /{part} -->)", re.S)
            if not pattern.search(text):
                print(f"{name}: no place for the table {part}")
                differing.append(part)
                continue
            new = pattern.sub(lambda m: f"{m.group(1)}{made}\n{m.group(2)}", text)
            if new != text and "--write" not in sys.argv:
                print(f"{name}: the table {part} is not what the program says; run with --write")
                differing.append(part)
            text = new
        if "--write" in sys.argv:
            path.write_text(text, encoding="utf-8")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
