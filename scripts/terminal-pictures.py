#!/usr/bin/env python3
"""Takes the pictures of terminals in docs/images, and that of a flame graph as SVG: real runs on this machine, of a build,
a script and a compressor.

scripts/terminal-pictures.py [AGENT]     target/release/pipeline unless said otherwise; needs root, cc, make, gzip, tmux and
                                         chromium

`record` and `top` run in a terminal of tmux; the screen is drawn with its colours as a page, of which a browser takes the
picture. Each picture is of at most 300 KB.
"""

import html
import os
import re
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

# Longest that a screen may take to show a text, seconds.
PATIENCE = 120
# A cell of the font below, in pixels.
CELL_WIDTH, CELL_HEIGHT = 8.43, 17
COLUMNS = 100
PAGE = """<!DOCTYPE html><meta charset="utf-8"><style>
body { margin: 0; padding: 12px; background: #16181d; }
pre { margin: 0; font: 14px/17px "DejaVu Sans Mono", monospace; color: #d6d9de; }
</style><pre>"""
COLOURS = ["#16181d", "#f2777a", "#99cc99", "#ffcc66", "#6ca8f0", "#cc99cc", "#66cccc", "#d6d9de"]


class Terminal:
    """A terminal of tmux with one program."""

    def __init__(self, rows, command, folder):
        self.name = f"pipeline-pictures-{os.getpid()}"
        self.rows = rows
        # Without a line of its own, tmux gives the program every row.
        self.tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(rows), "-c", str(folder), command)
        self.tmux("set-option", "-g", "status", "off")
        self.tmux("resize-window", "-x", str(COLUMNS), "-y", str(rows))

    def tmux(self, *arguments):
        command = ["tmux", "-L", self.name, "-f", "/dev/null", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def shows(self, text):
        """Waits until the screen has a text."""
        end = time.monotonic() + PATIENCE
        while text not in self.tmux("capture-pane", "-p"):
            if time.monotonic() > end:
                sys.exit(f"the screen does not show {text!r}:\n{self.tmux('capture-pane', '-p')}")
            time.sleep(0.2)

    def press(self, key):
        self.tmux("send-keys", key)

    def screen(self):
        """The screen, with its colours as escape sequences."""
        return self.tmux("capture-pane", "-p", "-e")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["tmux", "-L", self.name, "kill-server"], check=False, stderr=subprocess.DEVNULL)


class Style:
    """The state that sequences of "select graphic rendition" have left."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.front = self.back = None
        self.is_bold = self.is_dim = self.is_reversed = False

    def apply(self, text):
        codes = [int(code or 0) for code in text.split(";")]
        while codes:
            code = codes.pop(0)
            if code == 0:
                self.reset()
            elif code == 1:
                self.is_bold = True
            elif code == 2:
                self.is_dim = True
            elif code == 7:
                self.is_reversed = True
            elif code == 22:
                self.is_bold = self.is_dim = False
            elif code == 27:
                self.is_reversed = False
            elif code in (38, 48):
                colour = self.extended(codes)
                self.front, self.back = (colour, self.back) if code == 38 else (self.front, colour)
            elif code == 39:
                self.front = None
            elif code == 49:
                self.back = None
            elif 30 <= code % 60 < 38 and code < 98:
                self.front = COLOURS[code % 10]
            elif 40 <= code % 60 < 48 and code < 108:
                self.back = COLOURS[code % 10]

    @staticmethod
    def extended(codes):
        if codes.pop(0) == 2:
            return "#%02x%02x%02x" % tuple(codes.pop(0) for _ in range(3))
        number = codes.pop(0)
        if number < 16:
            return COLOURS[number % 8]
        if number >= 232:
            return "#%02x%02x%02x" % ((number - 232) * 10 + 8,) * 3
        parts = (number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6
        return "#%02x%02x%02x" % tuple(part and part * 40 + 55 for part in parts)

    def css(self):
        front, back = self.front or COLOURS[7], self.back or COLOURS[0]
        if self.is_reversed:
            front, back = back, front
        weight, opacity = ("bold" if self.is_bold else "normal"), (0.55 if self.is_dim else 1)
        return f"color: {front}; background: {back}; font-weight: {weight}; opacity: {opacity}"


def page(screen):
    """A screen as HTML."""
    style, parts = Style(), [PAGE]
    for number, part in enumerate(re.split(r"\x1b\[([0-9;]*)m", screen.replace("\x0f", "").replace("\x0e", ""))):
        if number % 2:
            style.apply(part)
        elif part:
            parts.append(f'<span style="{style.css()}">{html.escape(part)}</span>')
    return "".join(parts)


def draw(folder, rows, screen, name):
    """Takes the picture of a screen."""
    file = Path(folder) / "screen.html"
    file.write_text(page(screen), encoding="utf-8")
    width, height = round(COLUMNS * CELL_WIDTH) + 24, rows * CELL_HEIGHT + 24
    with Chromium(width=width, height=height) as browser:
        browser.open(f"file://{file}")
        take(browser, name)


def summary(agent, folder):
    """`record` of a build, from the command to the summary."""
    rows = 33
    line = "exec env PS1='$ ' bash --noprofile --norc"
    with Terminal(rows, line, folder) as terminal:
        terminal.tmux("send-keys", "-l", f"PATH={agent.parent}:$PATH; clear")
        terminal.press("Enter")
        terminal.tmux("send-keys", "-l", "pipeline record -o build.svg -- timeout 12 make -s -j2")
        terminal.press("Enter")
        terminal.shows("Wrote build.svg")
        draw(folder, rows, terminal.screen(), "record.png")


def flame_graph(folder):
    """The flame graph that `record` has written, as a browser opens it."""
    with Chromium(width=1200, height=700) as browser:
        browser.send("Emulation.setScrollbarsHidden", hidden=True)
        browser.open(f"file://{folder}/build.svg")
        take(browser, "flame-graph-svg.png")


def top(agent, folder):
    """`top` while all of the work goes on."""
    rows = 28
    work = subprocess.Popen(["bash", "-c", picture_work.shell(60)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # The build is under way, and a minute before the end of the work all of it is on the screen.
    time.sleep(35)
    try:
        with Terminal(rows, f"{agent} top", folder) as terminal:
            terminal.shows("last 5 s")
            time.sleep(12)
            for key, text, name in (("1", "EXECUTABLE", "top-executables.png"), ("3", "PROCESS", "top-processes.png"), ("4", "everything", "top-icicle.png")):
                terminal.press(key)
                terminal.shows(text)
                draw(folder, rows, terminal.screen(), name)
            terminal.press("q")
    finally:
        work.terminate()
        work.wait()


def main():
    agent = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "pipeline").resolve()
    with tempfile.TemporaryDirectory() as folder:
        picture_work.write(folder)
        summary(agent, folder)
        flame_graph(folder)
        for built in Path(folder).glob("*.o"):
            built.unlink()
        top(agent, folder)


if __name__ == "__main__":
    main()
