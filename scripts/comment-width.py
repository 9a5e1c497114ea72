#!/usr/bin/env python3
"""Checks that no comment of Rust or C is wider than 120 columns, the width of ebpf/.clang-format too.

Usage: comment-width.py [--write] FILE...

`--write` fills the paragraphs anew that are too wide. Lists, tables, code and drawings are left as they are.
"""

import re
import sys
import textwrap

WIDTH = 120
RUST = re.compile(r"^(\s*)(///|//!|//)( |$)(.*)$")
C_BODY = re.compile(r"^(\s*)( \*|/\*)( |$)(.*)$")
# What keeps its lines: lists, headings, tables, fences, links and what is indented.
FIXED = re.compile(r"^(\s|[-*+] |\d+\. |#|\||```|\[[^\]]+\]:|SAFETY)")


def columns(line):
    return len(line.expandtabs(8))


def fill(indent, marker, words, first=None):
    """Lines of one paragraph; `first` is the marker of the first line, where it differs."""
    lead = indent + marker + " "
    width = WIDTH - columns(lead) + len(lead)
    return textwrap.wrap(
        " ".join(words),
        width=width,
        initial_indent=indent + (first or marker) + " ",
        subsequent_indent=lead,
        break_long_words=False,
        break_on_hyphens=False,
    )


def rust_paragraphs(lines):
    """Yields (start, end, indent, marker) of runs of lines that read as one paragraph."""
    start, fenced = None, False
    key = None
    for at, line in enumerate(lines + [""]):
        match = RUST.match(line)
        kind = match and (match[1], match[2])
        text = match[4] if match else ""
        if match and text.startswith("```"):
            fenced = not fenced
        plain = match and text and not fenced and not FIXED.match(text)
        if start is not None and (not plain or kind != key):
            yield start, at, *key
            start = None
        if plain and start is None:
            start, key = at, kind


def write_rust(lines):
    out, done = [], 0
    for start, end, indent, marker in rust_paragraphs(lines):
        out += lines[done:start]
        paragraph = lines[start:end]
        if any(columns(line) > WIDTH for line in paragraph):
            words = " ".join(RUST.match(line)[4] for line in paragraph).split()
            paragraph = fill(indent, marker, words)
        out += paragraph
        done = end
    return out + lines[done:]


def write_c(lines):
    out, at = [], 0
    while at < len(lines):
        if not re.match(r"^\s*/\*", lines[at]):
            out.append(lines[at])
            at += 1
            continue
        end = at
        while "*/" not in lines[end]:
            end += 1
        block = lines[at : end + 1]
        at = end + 1
        is_whole = block[-1].rstrip().endswith("*/") and all(C_BODY.match(line) for line in block)
        if not is_whole or all(columns(line) <= WIDTH for line in block):
            out += block
            continue
        indent = C_BODY.match(block[0])[1]
        texts = [C_BODY.match(line)[4] for line in block]
        texts[-1] = re.sub(r"\s*\*/\s*$", "", texts[-1])
        paragraphs = [[]]
        for text in texts:
            if text.strip():
                paragraphs[-1] += text.split()
            else:
                paragraphs.append([])
        filled = []
        for words in paragraphs:
            filled += [indent + " *"] if filled else []
            filled += fill(indent, " *", words, None if filled else "/*")
        if columns(filled[-1]) + 3 > WIDTH:
            head, last = filled[-1].rsplit(" ", 1)
            filled[-1:] = [head, indent + " * " + last]
        filled[-1] += " */"
        out += filled
    return out


def main():
    write = "--write" in sys.argv[1:]
    wide = 0
    for name in [argument for argument in sys.argv[1:] if argument != "--write"]:
        with open(name, encoding="utf-8") as file:
            lines = file.read().split("\n")
        is_rust = name.endswith(".rs")
        if write:
            changed = write_rust(lines) if is_rust else write_c(lines)
            if changed != lines:
                with open(name, "w", encoding="utf-8") as file:
                    file.write("\n".join(changed))
                lines = changed
        comment = RUST if is_rust else C_BODY
        fenced = False
        for number, line in enumerate(lines, 1):
            fenced ^= bool(is_rust and comment.match(line) and comment.match(line)[4].startswith("```"))
            if not fenced and comment.match(line) and columns(line) > WIDTH and not comment.match(line)[4].startswith("|"):
                print(f"{name}:{number}: the comment is {columns(line)} columns wide; {WIDTH} is the most")
                wide += 1
    return 1 if wide else 0


if __name__ == "__main__":
    sys.exit(main())
