#!/usr/bin/env python3
"""Takes the pictures of the page in docs/images: a real recording on this machine, of a build, a script and a compressor.

scripts/page-pictures.py [AGENT]     target/release/pipeline unless said otherwise; needs root, cc, make, gzip and chromium

Each picture is of at most 300 KB.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "browser"))

import picture_work  # noqa: E402
from chromium import Chromium  # noqa: E402
from picture_work import take  # noqa: E402
from visit import Visit  # noqa: E402

SECONDS = 40


def press(visit, selector):
    visit.ready(visit.press(selector))


def pictures(address):
    with Chromium(width=1360, height=820) as browser:
        visit = Visit(browser)
        visit.open(address)
        browser.point(*visit.frame(0.55, 6))
        time.sleep(0.5)
        take(browser, "page-flame.png")
        press(visit, "#tab-processes")
        take(browser, "page-processes.png")
        press(visit, "#as-heat")
        press(visit, "#tab-top")
        take(browser, "page-heat.png")
        press(visit, "#as-lines")
        before = visit.shown()
        browser.run("document.querySelector('#view-top tbody td.name button').click()")
        visit.ready(before)
        take(browser, "page-sandwich.png")
        press(visit, "#tab-flame")
        left, top, width, height = visit.box("#timeline")
        before = visit.shown()
        browser.drag(left + width * 0.55, top + height / 2, left + width * 0.9)
        before = visit.ready(before)
        browser.drag(left + width * 0.1, top + height / 2, left + width * 0.4, shift=True)
        visit.ready(before)
        visit.press("#theme")
        browser.point(*visit.frame(0.5, 3))
        time.sleep(0.5)
        take(browser, "page-compare.png")


def main():
    agent = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "pipeline")
    with tempfile.TemporaryDirectory() as folder:
        picture_work.write(folder)
        page = Path(folder) / "page.html"
        command = [agent.resolve(), "record", "--quiet", "-F", "199", "-o", page, "--", "bash", "-c", picture_work.shell(SECONDS)]
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)
        pictures(f"file://{page}")


if __name__ == "__main__":
    main()
