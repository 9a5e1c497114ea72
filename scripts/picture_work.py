"""Pictures for docs/images, and work to show in them: a build, a script and a compressor, whose files are in a directory
of their own."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 300_000

MAKEFILE = """
all: $(patsubst %,part%.o,$(shell seq 400))
part%.o: part.c
	cc -O2 -DPART=$* -c -o $@ part.c
.PHONY: all
"""
PART = """
#define FUNCTION(n) int f##n(int *a, int m) { for (int i = 0; i < m; i++) a[i & 63] += a[(i * n) & 63] ^ (m << (n & 15)); return a[n]; }
#define TEN(n) FUNCTION(n##0) FUNCTION(n##1) FUNCTION(n##2) FUNCTION(n##3) FUNCTION(n##4) FUNCTION(n##5) FUNCTION(n##6) FUNCTION(n##7)
TEN(1) TEN(2) TEN(3) TEN(4)
"""
SCRIPT = """
import json, random
rows = [{"key": random.random(), "words": [str(n) for n in range(20)]} for _ in range(4000)]
while True:
    sorted(json.loads(json.dumps(rows)), key=lambda row: row["key"])
"""


def shell(seconds):
    """A line for bash that works for so long: the script and the compressor at once, the build in the second half."""
    return f"""
python3 script.py & script=$!
(for n in $(seq {seconds // 3}); do head -c 20000000 /dev/urandom | gzip -1 >/dev/null; sleep 1; done) & gzips=$!
sleep {seconds // 2}
timeout {seconds // 2} make -s -j2
kill $script $gzips
"""


def write(folder):
    """Writes the files that the line needs."""
    for name, text in (("Makefile", MAKEFILE), ("part.c", PART), ("script.py", SCRIPT)):
        (Path(folder) / name).write_text(text)


def take(browser, name):
    """Takes the picture of that name of what the browser shows; ends the script if it has too many bytes."""
    path = IMAGES / name
    browser.screenshot(path)
    size = path.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{path} has {size} bytes")
    print(f"{path.relative_to(ROOT)}: {size // 1000} KB")
