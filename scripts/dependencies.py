#!/usr/bin/env python3
"""Checks what the workspace depends on, by deny.toml: licences, sources, banned crates, second versions, known weaknesses,
versions that their authors have taken back.

scripts/dependencies.py                    checks; exit code 1 if something is not allowed
scripts/dependencies.py --import DIR       takes the weaknesses from a clone of RustSec's advisory-db
scripts/dependencies.py --self-test

Does what `cargo deny check` does with the same file, for the keys that the file has, and refuses any other key. It is here
since cargo-deny takes minutes to build, and fetches its database from a place that CI cannot reach: see
docs/decisions/dependencies.md.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADVISORIES = ROOT / "scripts" / "advisories.tsv"
WORKSPACES = [ROOT, ROOT / "fuzz"]
KEYS = {
    "graph": {"targets"},
    "licenses": {"allow"},
    "bans": {"multiple-versions", "deny", "skip"},
    "sources": {"unknown-registry", "unknown-git", "allow-registry"},
    "advisories": {"yanked", "ignore"},
}
WORDS = re.compile(r"\(|\)|[^\s()/]+|/")


def is_allowed(expression, allow):
    """True if an SPDX expression (or one with a slash, as older crates have) can be met by licences of `allow`."""
    words = WORDS.findall(expression)

    def either():
        result = both()
        while words and words[0] in ("OR", "/"):
            words.pop(0)
            result = both() or result
        return result

    def both():
        result = one()
        while words and words[0] == "AND":
            words.pop(0)
            result = one() and result
        return result

    def one():
        word = words.pop(0)
        if word == "(":
            result = either()
            words.pop(0)
            return result
        if len(words) > 1 and words[0] == "WITH":
            word = f"{word} {words.pop(0)} {words.pop(0)}"
        return word in allow

    try:
        return either() and not words
    except IndexError:
        return False


def order(version):
    """A key that sorts versions as SemVer does."""
    version = version.split("+")[0]
    numbers, _, early = version.partition("-")
    parts = [int(part) for part in numbers.split(".")]
    names = [(0, int(name), "") if name.isdigit() else (1, 0, name) for name in early.split(".") if early]
    return (parts + [0, 0])[:3], not early, names


def matches(version, requirement):
    """True if a version is within a requirement of advisories: comparisons, all of which must hold."""
    for part in requirement.split(","):
        sign, number = re.fullmatch(r"(>=|<=|>|<|=|\^|~)?\s*(\S+)", part.strip()).groups()
        here, there = order(version), order(number)
        if sign in (None, "^", "~"):
            fixed = next((i for i, n in enumerate(there[0]) if n), 2) if sign != "~" else 1
            same = here[0][: fixed + 1] == there[0][: fixed + 1]
            holds = same and here >= there
        else:
            holds = {">=": here >= there, "<=": here <= there, ">": here > there, "<": here < there, "=": here == there}[sign]
        if not holds:
            return False
    return True


def is_affected(version, patched, unaffected):
    return not any(matches(version, requirement) for requirement in patched + unaffected)


def locked(workspace):
    """The packages of the lock file that come from elsewhere: (name, version, source)."""
    packages = tomllib.loads((workspace / "Cargo.lock").read_text())["package"]
    return [(package["name"], package["version"], package["source"]) for package in packages if "source" in package]


def licences(workspace, targets):
    """(name, version) -> licence of what is built for the targets."""
    filters = [word for target in targets for word in ("--filter-platform", target)]
    command = ["cargo", "metadata", "--format-version", "1", "--locked", *filters]
    metadata = json.loads(subprocess.run(command, cwd=workspace, check=True, stdout=subprocess.PIPE).stdout)
    used = {node["id"] for node in metadata["resolve"]["nodes"]}
    packages = [package for package in metadata["packages"] if package["source"] and package["id"] in used]
    return {(package["name"], package["version"]): package["license"] for package in packages}


def check_licences(found, allow):
    faults = []
    for (name, version), licence in sorted(found.items()):
        if not licence or not is_allowed(licence, allow):
            faults.append(f"{name} {version}: licence {licence or 'unknown'} is not allowed")
    return faults


def check_sources(packages, sources):
    allowed = [f"registry+{url}" for url in sources["allow-registry"]]
    return [f"{name} {version}: source {source} is not allowed" for name, version, source in packages if source not in allowed]


def check_bans(packages, bans):
    denied = {entry["crate"]: entry["reason"] for entry in bans["deny"]}
    skipped = {entry["crate"] for entry in bans["skip"]}
    faults, versions = [], {}
    for name, version, _ in packages:
        if name in denied:
            faults.append(f"{name} {version}: {denied[name]}")
        versions.setdefault(name, set()).add(version)
    there = {f"{name}@{version}" for name, found in versions.items() for version in found}
    for name, found in sorted(versions.items()):
        counted = sorted(version for version in found if f"{name}@{version}" not in skipped)
        if len(counted) > 1:
            faults.append(f"{name}: {len(counted)} versions, {', '.join(counted)}")
    faults += [f"deny.toml skips {crate}, which is not there" for crate in sorted(skipped - there)]
    return faults


def check_advisories(packages, advisories, ignored):
    faults, used = [], set()
    for name, version, _ in packages:
        for identity, kind, patched, unaffected in advisories.get(name, []):
            if not is_affected(version, patched, unaffected):
                continue
            if identity in ignored:
                used.add(identity)
            else:
                faults.append(f"{name} {version}: {identity} ({kind}), patched in {', '.join(patched) or 'none'}")
    return faults, used


def index_path(name):
    """Where the index of the registry has a crate."""
    name = name.lower()
    match len(name):
        case 1 | 2:
            return f"{len(name)}/{name}"
        case 3:
            return f"3/{name[0]}/{name}"
        case _:
            return f"{name[:2]}/{name[2:4]}/{name}"


def yanked(entry):
    """version -> True if it has been taken back; `entry` is what cargo keeps of a crate's index.

    That is a byte for the form, four for the index's own, an ETag, then each version and its JSON, all ended by NUL.
    """
    states = {}
    for part in entry[5:].split(b"\0"):
        if part.startswith(b"{"):
            release = json.loads(part)
            states[release["vers"]] = bool(release.get("yanked"))
    return states


def check_yanked(packages, entries):
    """`entries` returns what cargo keeps of a crate, or `None`. Also returns how many versions it does not know."""
    faults, unknown = [], 0
    for name, version, _ in sorted(packages):
        entry = entries(name)
        state = yanked(entry).get(version) if entry else None
        unknown += state is None
        if state:
            faults.append(f"{name} {version}: its authors have taken it back")
    return faults, unknown


def cargo_entries():
    """Reads what cargo has asked the registry for, without asking it again."""
    home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    caches = [cache for cache in home.glob("registry/index/*/.cache") if cache.is_dir()]

    def entry(name):
        paths = [cache / index_path(name) for cache in caches]
        # Of several registries' the one that cargo has asked last.
        found = sorted((path for path in paths if path.is_file()), key=lambda path: path.stat().st_mtime)
        return found[-1].read_bytes() if found else None

    return entry


def read_advisories(text):
    """name -> [(id, kind, patched, unaffected)] of the table, and what its first line says of it."""
    advisories = {}
    head, *lines = text.splitlines()
    for line in lines:
        identity, name, kind, patched, unaffected = line.split("\t")
        split = lambda field: [part for part in field.split(" | ") if part]
        advisories.setdefault(name, []).append((identity, kind, split(patched), split(unaffected)))
    return advisories, head.lstrip("# ")


def import_advisories(directory):
    git = lambda *args: subprocess.run(["git", "-C", directory, *args], check=True, stdout=subprocess.PIPE).stdout
    commit, date = git("log", "-1", "--format=%h %cs").decode().split()
    rows = []
    names = git("ls-tree", "-r", "--name-only", "HEAD", "crates").decode().splitlines()
    for name in names:
        if not re.search(r"/RUSTSEC-\d{4}-\d{4}\.md$", name):
            continue
        text = git("show", f"HEAD:{name}").decode()
        entry = tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.S)[1])
        advisory, versions = entry["advisory"], entry["versions"]
        if "withdrawn" in advisory:
            continue
        kind = advisory.get("informational", "vulnerability")
        fields = [advisory["id"], advisory["package"], kind]
        fields += [" | ".join(versions.get(key, [])) for key in ("patched", "unaffected")]
        rows.append("\t".join(fields))
    head = f"# RustSec advisory-db (public domain) at {commit} of {date}: id, crate, kind, patched, unaffected"
    ADVISORIES.write_text("\n".join([head, *sorted(rows)]) + "\n")
    print(f"{len(rows)} advisories of {date}")


def configuration():
    config = tomllib.loads((ROOT / "deny.toml").read_text())
    unknown = [f"{part}.{key}" for part, keys in config.items() for key in keys if key not in KEYS.get(part, ())]
    if unknown:
        sys.exit(f"deny.toml has keys that this program does not apply: {', '.join(unknown)}")
    return config


def check():
    config = configuration()
    advisories, source = read_advisories(ADVISORIES.read_text())
    ignored = {entry["id"] for entry in config["advisories"]["ignore"]}
    faults, used = [], set()
    everything = set()
    for workspace in WORKSPACES:
        packages = locked(workspace)
        everything.update(packages)
        faults += check_sources(packages, config["sources"])
        found, needed = check_advisories(packages, advisories, ignored)
        faults += found
        used |= needed
    # Fuzz targets are shipped to nobody: their licences and second versions do not matter.
    packages = locked(ROOT)
    found = licences(ROOT, config["graph"]["targets"])
    faults += check_licences(found, config["licenses"]["allow"])
    taken_back, unknown = check_yanked(everything, cargo_entries())
    if config["advisories"]["yanked"] == "deny":
        faults += taken_back
    faults += check_bans(packages, config["bans"])
    faults += [f"deny.toml ignores {identity}, which affects nothing" for identity in sorted(ignored - used)]
    for fault in faults:
        print(fault)
    print(f"{len(everything)} crates: {len(faults)} faults. {source.split(':')[0]}")
    if unknown:
        print(f"Of {unknown} crates cargo does not know here whether they have been taken back.")
    return not faults


def self_test():
    allow = {"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"}
    for good in ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "(MIT OR X) AND ISC", "Apache-2.0 WITH LLVM-exception"]:
        assert is_allowed(good, allow), good
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "", "(MIT", "MIT OR", "MIT ISC", "GPL-2.0 WITH LLVM-exception"]:
        assert not is_allowed(bad, allow), bad
    early, late = ["1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-rc.1", "1.0.0"], ["1.0.1", "1.2.0", "10.0.0"]
    assert sorted(late[::-1] + early[::-1], key=order) == early + late
    for version, requirement in [("1.2.3", ">=1.2, <2"), ("1.2.3", "^1.0.5"), ("0.2.9", "^0.2.3"), ("1.4.9", "~1.4.2"), ("1.0.0", "=1.0.0")]:
        assert matches(version, requirement), (version, requirement)
    for version, requirement in [("2.0.0", ">=1.2, <2"), ("2.0.0", "^1.0.5"), ("0.3.0", "^0.2.3"), ("1.5.0", "~1.4.2"), ("1.0.0-rc.1", ">=1.0.0")]:
        assert not matches(version, requirement), (version, requirement)
    assert is_affected("0.3.19", [">=0.3.20"], []) and not is_affected("0.3.20", [">=0.3.20"], [])
    assert is_affected("1.0.0", [], []) and not is_affected("0.9.0", [], ["<1.0.0"])
    bans = {"deny": [{"crate": "bad", "reason": "it is"}], "skip": [{"crate": "two@1.0.0"}, {"crate": "gone@1.0.0"}]}
    packages = [("bad", "1.0.0", ""), ("two", "1.0.0", ""), ("two", "2.0.0", ""), ("too", "1.0.0", ""), ("too", "2.0.0", "")]
    faults = check_bans(packages, bans)
    assert faults == ["bad 1.0.0: it is", "too: 2 versions, 1.0.0, 2.0.0", "deny.toml skips gone@1.0.0, which is not there"], faults
    table, _ = read_advisories("# head\nRUSTSEC-1\tbad\tvulnerability\t>=2\t\nRUSTSEC-2\tbad\tunmaintained\t\t<1")
    faults, used = check_advisories(packages, table, {"RUSTSEC-2"})
    assert faults == ["bad 1.0.0: RUSTSEC-1 (vulnerability), patched in >=2"] and used == {"RUSTSEC-2"}, faults
    assert check_sources([("a", "1.0.0", "git+https://x")], {"allow-registry": ["https://y"]})
    assert check_licences({("a", "1.0.0"): None}, allow) and not check_licences({("a", "1.0.0"): "MIT"}, allow)
    lines = [b'{"vers":"1.0.0","yanked":true}', b'{"vers":"1.1.0","yanked":false}', b'{"vers":"1.2.0"}']
    entry = b"\3\2\0\0\0etag\0" + b"".join(line.split(b'"')[3] + b"\0" + line + b"\0" for line in lines)
    assert yanked(entry) == {"1.0.0": True, "1.1.0": False, "1.2.0": False}
    packages = [("a", "1.0.0", ""), ("a", "1.1.0", ""), ("a", "2.0.0", ""), ("b", "1.0.0", "")]
    faults, unknown = check_yanked(packages, {"a": entry}.get)
    assert faults == ["a 1.0.0: its authors have taken it back"] and unknown == 2, (faults, unknown)
    assert [index_path(name) for name in ["a", "ab", "abc", "Serde_json"]] == ["1/a", "2/ab", "3/a/abc", "se/rd/serde_json"]
    print("self-test passed")


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            sys.exit(not check())
        case ["--self-test"]:
            self_test()
        case ["--import", directory]:
            import_advisories(directory)
        case _:
            sys.exit(__doc__)
