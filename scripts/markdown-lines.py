#!/usr/bin/env python3
"""Keeps Markdown at one sentence a line, so that a change of a sentence is a change of one line.

    scripts/markdown-lines.py FILE...            # names each file that is not in that form, and exits with 1
    scripts/markdown-lines.py --write FILE...    # brings the files into that form

Headings, tables, fenced code, HTML and link definitions are left as they are.
"""
import re
import sys

# A sentence ends with . ! or ?, perhaps closed by quotes, brackets or emphasis, and the next one begins like this.
END = re.compile(r"""([.!?][)\]"'*_”’]*)\s+(?=["'(\[*_“]*[A-Z0-9`])""")
ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|No|Dr|Mr|Ms|St)|\b[A-Z])\.$")
# What stands by itself: never joined with a line before or after it.
ALONE = re.compile(r"^\s*(?:$|#|\||<|\[[^\]]+\]:|(?:-{3,}|\*{3,}|={3,})\s*$)")
ITEM = re.compile(r"^(\s*(?:[-*+]|\d+[.)])\s+|\s*>\s?)(.*)$")
FENCE = re.compile(r"^\s*(?:[-*+]\s+|\d+[.)]\s+)?(```+|~~~+)")


def sentences(text):
    """The sentences of a paragraph; what is within `code` ends none."""
    masked = re.sub(r"`[^`]*`", lambda code: "`" + "x" * (len(code.group()) - 2) + "`", text)
    found, start = [], 0
    for end in END.finditer(masked):
        if not ABBREVIATION.search(masked[start : end.end(1)]):
            found.append(text[start : end.end(1)])
            start = end.end()
    return found + [text[start:]]


def formatted(text):
    """The text with one sentence a line."""
    out, paragraph, fence = [], [], None
    first = rest = ""

    def flush():
        if paragraph:
            lines = sentences(" ".join(paragraph))
            out.append(first + lines[0])
            out.extend(rest + line for line in lines[1:])
            paragraph.clear()

    for line in text.split("\n"):
        line = line.rstrip()
        mark = FENCE.match(line)
        if fence:
            out.append(line)
            if mark and mark.group(1).startswith(fence) and line.strip() == mark.group(1):
                fence = None
            continue
        item = ITEM.match(line)
        if mark:
            flush()
            fence = mark.group(1)
            out.append(line)
        elif ALONE.match(line):
            flush()
            out.append(line)
        elif item:
            flush()
            first = item.group(1)
            rest = first if ">" in first else " " * len(first)
            paragraph.append(item.group(2).strip())
        else:
            if not paragraph:
                first = rest = line[: len(line) - len(line.lstrip())]
            paragraph.append(line.strip())
    flush()
    return "\n".join(out)


def main():
    write = "--write" in sys.argv
    wrong = []
    for path in [argument for argument in sys.argv[1:] if argument != "--write"]:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        form = formatted(text)
        if form != text:
            wrong.append(path)
            if write:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(form)
    if wrong and not write:
        for path in wrong:
            print(f"{path}: not one sentence a line", file=sys.stderr)
        sys.exit("run: scripts/markdown-lines.py --write " + " ".join(wrong))


main()
