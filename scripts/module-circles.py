#!/usr/bin/env python3
"""Finds circles between the modules of a crate: modules that use each other's items, directly or by way of others.

    scripts/module-circles.py [CRATE-DIRECTORY ...]     every crate of the workspace by default; exit code 1 if there is a circle
    scripts/module-circles.py --self-test

A module is a file. One uses another if its code names an item which the other defines, by a `use` or by a path; a name that
other modules only pass on (`pub use`) counts as used from where it is defined. Tests do not count.

cargo-modules does not serve here: its `--acyclic` counts every `pub use` as a use, so that each module which passes on its
children's items and defines one that they use is a circle with them, and it builds on rust-analyzer, which takes minutes.
What this script does not see: items that a macro makes, methods (a value's method is called without naming its module),
names that come by a glob `use` of an enum or another crate.
"""
import re
import sys
import tempfile
import unittest
from pathlib import Path

# Circles that stay for now, as sets of module names as printed, with the reason.
ALLOWED = frozenset()

TOKEN = re.compile(
    r"""(?P<skip>//[^\n]*|/\*.*?\*/|\s+)"""
    r"""|(?P<text>b?c?r(?P<hash>\#*)".*?"(?P=hash)|[bc]?"(?:\\.|[^"\\])*"|b?'(?:\\.[^']*|[^'\\])')"""
    r"""|(?P<life>'\w+)|(?P<word>(?:r\#)?[A-Za-z_]\w*)|(?P<num>\d[\w.]*?(?=\.\.|[^\w.]|$))|(?P<sign>::|.)""",
    re.S | re.X,
)
# Names passed on from module to module at most: more is a name that leads back to itself, ever longer.
MOST_STEPS = 64
DEFINES = {"struct", "enum", "union", "trait", "fn", "const", "static", "type"}


def tokens(text):
    """The words and signs of Rust source with their lines, without comments, literals and lifetimes."""
    line, found = 1, []
    for match in TOKEN.finditer(text):
        if match.lastgroup in ("word", "sign") or (match.group("word") or match.group("sign")):
            found.append((match.group(), line))
        elif match.group("text"):
            found.append(('""', line))
        line += match.group().count("\n")
    return found


def closing(code, at):
    """The place after the bracket that closes the one at `at`."""
    depth = 0
    for place in range(at, len(code)):
        word = code[place][0]
        depth += word in ("(", "[", "{")
        depth -= word in (")", "]", "}")
        if depth == 0:
            return place + 1
    return len(code)


def item_end(code, at):
    """The place after the item that begins at `at`: behind its block or its semicolon."""
    while at < len(code):
        word = code[at][0]
        if word == ";":
            return at + 1
        if word in ("(", "[", "{"):
            end = closing(code, at)
            if word == "{":
                return end
            at = end
        else:
            at += 1
    return at


def use_tree(code, at, prefix, leaves):
    """Reads one tree of a `use` from `at`; adds (path, name, line) to the leaves. Returns the place behind it."""
    path, line = list(prefix), code[at][1]
    while at < len(code):
        word, line = code[at]
        if word == "{":
            end = closing(code, at)
            at += 1
            while at < end - 1:
                at = use_tree(code, at, path, leaves)
                at += code[at][0] == ","
            return end
        if word == "*":
            leaves.append((path, "*", line))
            return at + 1
        path.append(word.removeprefix("r#"))
        at += 1
        if at >= len(code) or code[at][0] != "::":
            break
        at += 1
    if path[-1] == "self" and len(path) > 1:
        path.pop()
    name = path[-1]
    if at + 1 < len(code) and code[at][0] == "as":
        name, at = code[at + 1][0], at + 2
    leaves.append((path, name, line))
    return at


class Module:
    """What one file (or one block `mod x { }`) defines, imports and names."""

    def __init__(self, path, parent, directory):
        self.path, self.parent, self.directory = path, parent, directory
        self.children, self.defined, self.imports, self.named = {}, set(), [], []

    def read(self, code):
        at, start, visible, test = 0, True, False, False
        while at < len(code):
            word, line = code[at]
            ahead = code[at + 1][0] if at + 1 < len(code) else ""
            if word == "#" and ahead in ("[", "!"):
                end = closing(code, at + 1 + (ahead == "!"))
                attribute = "".join(part for part, _ in code[at:end])
                test |= attribute.startswith(("#[cfg(test)", "#[cfg(all(test")) or attribute == "#[test]"
                self.names(code[at:end])
                at = end
            elif start and word == "pub":
                visible, at = True, at + 1
                if code[at][0] == "(":
                    at = closing(code, at)
            elif test and start:
                at, test, visible = item_end(code, at), False, False
            elif start and word == "use":
                leaves = []
                at = use_tree(code, at + 1, [], leaves)
                self.imports += [(path, name, line, visible) for path, name, line in leaves]
                at, visible = at + 1, False
            elif start and word == "mod":
                name = ahead.removeprefix("r#")
                child = self.children[name] = Module([*self.path, name], self, self.directory / name)
                if code[at + 2][0] == "{":
                    end = closing(code, at + 2)
                    child.read(code[at + 3 : end - 1])
                    at = end
                else:
                    child.load(self.directory / f"{name}.rs", self.directory / name / "mod.rs")
                    at += 3
                visible = False
            else:
                end = item_end(code, at)
                self.item(code[at:end])
                at, visible, test = end, False, False
        return self

    def load(self, *files):
        for file in files:
            if file.exists():
                return self.read(tokens(file.read_text()))
        return self

    def item(self, code):
        for (word, _), (name, _) in zip(code, code[1:]):
            if word in DEFINES and name not in ("fn", "{", "unsafe", "async", "extern"):
                self.defined.add(name.removeprefix("r#"))
                break
            if word in ("impl", "{", "(", "!"):
                break
        if code and code[0][0] == "macro_rules":
            self.defined.add(code[2][0])
        self.names(code)

    def names(self, code):
        """Collects the paths that code names, and reads a `use` inside of a block as one of the module."""
        at = 0
        while at < len(code):
            word, line = code[at]
            if word == "pub" and at + 2 < len(code) and code[at + 1][0] == "(" and code[at + 2][0] == "in":
                at = closing(code, at + 1)
                continue
            if word == "use":
                leaves = []
                at = use_tree(code, at + 1, [], leaves)
                self.imports += [(path, name, line, False) for path, name, line in leaves]
            elif word[0].isalpha() or word[0] == "_":
                path = [word.removeprefix("r#")]
                while at + 2 < len(code) and code[at + 1][0] == "::" and code[at + 2][0][0].isalpha():
                    path.append(code[at + 2][0])
                    at += 2
                self.named.append((path, line))
            at += 1

    def all(self):
        yield self
        for child in self.children.values():
            yield from child.all()

    def root(self):
        return self.parent.root() if self.parent else self

    def lookup(self, path, seen=()):
        """The module that defines what `path` names as seen from here; None if it is none of this crate's."""
        if (self, tuple(path)) in seen or len(seen) > MOST_STEPS:
            return None
        seen = (*seen, (self, tuple(path)))
        first, rest = path[0], path[1:]
        if first in ("crate", "self", "super"):
            base = {"crate": self.root(), "self": self, "super": self.parent}[first]
            return base if not rest or base is None else base.lookup(rest, seen)
        if first in self.children:
            child = self.children[first]
            return child.lookup(rest, seen) if rest else child
        if first in self.defined:
            return self
        for source, name, _line, _visible in self.imports:
            # A name that is imported from one like it is a crate's: `use proptest::proptest`.
            if name == first and source[0] != first:
                found = self.lookup([*source, *rest], seen)
                if found:
                    return found
            elif name == "*":
                base = self.lookup(source, seen)
                found = base.lookup(path, seen) if base and base is not self else None
                if found:
                    return found
        return None

    def uses(self):
        """The modules whose items this one uses, each with the first line that does."""
        found, words = {}, {path[0] for path, _ in self.named}
        for path, name, line, visible in self.imports:
            # What is only passed on is not used here; a glob is what the names found by it are.
            if name != "*" and (not visible or name in words):
                found.setdefault(self.lookup(path), line)
        for path, line in self.named:
            if path[0] in ("crate", "super", "self") and len(path) == 1:
                continue
            found.setdefault(self.lookup(path), line)
        return {module: line for module, line in found.items() if module not in (None, self)}


def components(graph):
    """Tarjan's strongly connected components, those of more than one node."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(group)

    for node in graph:
        if node not in index:
            visit(node)
    return found


def circles(root):
    """The circles of a crate: for each, its uses as (user, line, used)."""
    graph = {module: module.uses() for module in root.all()}
    for group in components({module: list(uses) for module, uses in graph.items()}):
        edges = [(user, line, used) for user in group for used, line in graph[user].items() if used in group]
        yield group, sorted(edges, key=lambda edge: (edge[0].path, edge[2].path))


def crate(directory):
    source = Path(directory) / "src"
    root = Module([Path(directory).name], None, source)
    return root.load(source / "lib.rs", source / "main.rs")


def main(directories):
    if not directories:
        here = Path(__file__).resolve().parent.parent
        directories = sorted(path.parent for path in [*here.glob("crates/*/Cargo.toml"), here / "tests/Cargo.toml"])
    number = 0
    for directory in directories:
        for group, edges in circles(crate(directory)):
            names = sorted("::".join(module.path) for module in group)
            if frozenset(names) in ALLOWED:
                continue
            number += 1
            print(f"circle {number}: {' '.join(names)}")
            for user, line, used in edges:
                print(f"    {'::'.join(user.path)} uses {'::'.join(used.path)} (line {line})")
    print(f"{number} circles between modules")
    return number > 0


class SelfTest(unittest.TestCase):
    """The rules above, each by a crate of a few lines."""

    def found(self, **files):
        with tempfile.TemporaryDirectory() as directory:
            for name, text in files.items():
                file = Path(directory) / "src" / (name.replace("__", "/") + ".rs")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            groups = [sorted(module.path[-1] for module in group) for group, _ in circles(crate(directory))]
            return [[name for name in group if not name.startswith("tmp")] for group in groups]

    def test_two_that_use_each_other(self):
        self.assertEqual(
            self.found(lib="mod a; mod b;", a="use crate::b::B; pub struct A;", b="use super::a::A; pub struct B(A);"),
            [["a", "b"]],
        )

    def test_by_way_of_a_third_and_of_names_passed_on(self):
        lib = "mod a; mod b; mod c; pub use a::A; pub use b::{B, inner as renamed}; pub use c::*;"
        a, b = "use crate::B; pub struct A;", "pub struct B; pub fn inner() { crate::C::new() }"
        self.assertEqual(self.found(lib=lib, a=a, b=b, c="pub struct C; fn f() { crate::A }"), [["a", "b", "c"]])
        self.assertEqual(self.found(lib=lib, a=a, b=b, c="pub struct C;"), [])

    def test_passing_on_is_not_using_unless_the_name_is_used_too(self):
        a = "use super::Error; pub struct A(Error);"
        self.assertEqual(self.found(lib="mod a; pub use a::A; pub enum Error { X }", a=a), [])
        self.assertEqual(self.found(lib="mod a; pub use a::A; pub enum Error { X(A) }", a=a), [["a"]])

    def test_tests_comments_literals_and_visibility_do_not_count(self):
        b = 'pub struct B; /// crate::a::A\nconst T: &str = "crate::a::A"; const Q: char = \'"\';\n'
        b += "struct V { pub(in crate::a) v: u8 } #[cfg(test)] mod tests { use crate::a::A; } #[cfg(test)] use crate::a::A; #[cfg(test)] fn x() { crate::a::A }"
        self.assertEqual(self.found(lib="mod a; mod b;", a="use crate::b::B; pub struct A;", b=b), [])

    def test_paths_in_bodies_and_signatures_count(self):
        b = "pub struct B; impl<'a> B { fn f(x: &'a crate::a::A) { use crate::a; } }"
        self.assertEqual(self.found(lib="mod a; mod b;", a="fn f() { super::b::B } pub struct A;", b=b), [["a", "b"]])

    def test_names_imported_from_names_like_them_lead_nowhere(self):
        a = "use x::x; use y::z; use z::y; pub struct A; fn f() { x::g(); y::g() }"
        self.assertEqual(self.found(lib="mod a; use a::A;", a=a), [])

    def test_modules_in_directories(self):
        files = {"lib": "mod a;", "a__mod": "mod b; fn f() { b::g() } pub struct A;", "a__b": "use super::A; pub fn g() {}"}
        self.assertEqual(self.found(**files), [["a", "b"]])


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        unittest.main(argv=sys.argv[:1])
    sys.exit(main(sys.argv[1:]))
