"""What else a person does with the page of the fixture: other views, groups and rules, families, downloads."""

import base64
import sys
import tempfile
from pathlib import Path

import fixture
from visit import check

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "reader"))

from formats import opened  # noqa: E402

FAMILY = sum((until - since) * count for pid, _, parent, (since, until), stacks in fixture.PROCESSES if 10 in (pid, parent) for _, count in stacks)
CONTAINED = sum((until - since) * count for pid, _, _, (since, until), stacks in fixture.PROCESSES if pid in fixture.IN_CONTAINER for _, count in stacks)
PARSED = 25 * 20


def click(visit, script):
    """Clicks on the element of an expression, and waits for what is shown then."""
    before = visit.shown()
    visit.browser.until(f"Boolean({script})")
    visit.browser.run(f"{script}.click()")
    visit.ready(before)


def remove_filters(visit):
    while visit.browser.run("Boolean(document.querySelector('#chips button'))"):
        click(visit, "document.querySelector('#chips button')")


def names_what_a_frame_is(visit):
    """The frame under the pointer: totals, source and line, module, build ID."""
    visit.find("parse")
    text = visit.text("#details")
    for part in ("total ", "self ", f"{PARSED:,} samples", "src/2.c:12", fixture.LIBRARY, fixture.BUILD_ID):
        check(part in text, f"{part!r} is not in {text!r}")


def merges(visit):
    """The first row is what samples are grouped by."""
    for group, names in (("thread", ("server", "cc1", "make")), ("executable", ("server", "cc1", "make")), ("process", ("11 cc1", "12 server"))):
        visit.choose("Group by", group)
        for name in names:
            _part, row = visit.find(name)
            check(row == 1, f"{name!r} is in row {row} of the graph by {group}")
    visit.choose("Group by", "none")
    check(visit.name_at(0.5, 1) == "main", f"without groups the first row is {visit.name_at(0.5, 1)!r}")
    visit.choose("Group by", "executable")


def chooses(visit, label, key, name):
    """A name is chosen from the list of those that there are."""
    visit.browser.run(f"[...document.querySelectorAll('#filter-row label')].find((each) => each.firstChild.textContent === {label!r}).querySelector('input').focus()")
    visit.browser.until(f"[...document.querySelectorAll('#names-{key} option')].some((option) => option.value === {name!r})")
    visit.choose(label, name)


def rows_of_top(visit, rows):
    before = visit.shown()
    visit.browser.run(f"(() => {{ const select = document.querySelector('#view-top select'); select.value = {rows!r}; select.dispatchEvent(new Event('change')); }})()")
    visit.ready(before)


def filters_by_container(visit):
    """A container is chosen from its list or from the top table; it is shown, in the address, and there after a reload."""
    chooses(visit, "Container", "container", fixture.CONTAINER)

    def is_shown(how):
        check(visit.samples() == CONTAINED, f"{how}: {visit.samples()} samples of the container, expected {CONTAINED}")
        check(visit.state("container") == fixture.CONTAINER, f"{how}: {visit.state('container')!r} is in the address")
        check(f"container: {fixture.CONTAINER}" in visit.text("#chips"), f"{how}: no filter by container in {visit.text('#chips')!r}")
        visit.find("collect_garbage")
        visit.find(fixture.GONE)
        check(not visit.seek("make"), f"{how}: a process outside of the container is shown")
    is_shown("chosen")
    visit.browser.send("Page.reload")
    visit.browser.until("document.readyState === 'complete' && document.body.dataset.ready")
    is_shown("after a reload")
    visit.choose("Group by", "container")
    # A graph shows the last part of a path.
    _part, row = visit.find(fixture.CONTAINER.rsplit("/")[-1])
    check(row == 1, f"the container is in row {row} of the graph by container")
    remove_filters(visit)
    visit.find("(no container)")
    visit.choose("Group by", "executable")
    visit.ready(visit.press("#tab-top"))
    rows_of_top(visit, "container")
    click(visit, f"[...document.querySelectorAll('#view-top tbody button')].find((button) => button.textContent === {fixture.CONTAINER!r})")
    is_shown("of the top table")
    remove_filters(visit)
    visit.ready(visit.press("#tab-top"))
    rows_of_top(visit, "function")
    visit.ready(visit.press("#tab-flame"))


def filters_by_thread(visit):
    """A thread is chosen from a list of those that there are."""
    chooses(visit, "Thread", "thread", "make")
    check(visit.samples() == 60, f"{visit.samples()} samples of the thread, expected 60")
    check(visit.state("thread") == "make", "the thread is not in the address")
    visit.choose("Time", "off")
    check(visit.samples() == 0, f"{visit.samples()} samples off the CPU")
    visit.choose("Time", "cpu")
    remove_filters(visit)


def shows_a_family(visit):
    """A process with all that it started reads as one."""
    visit.ready(visit.press("#tab-processes"))
    row = "[...document.querySelectorAll('#view-processes tbody tr')].find((row) => row.querySelector('.name').textContent.includes('make'))"
    click(visit, f"{row}?.querySelector('button.from')")
    check(visit.state("ancestor"), "the ancestor is not in the address")
    check(visit.samples() == FAMILY, f"{visit.samples()} samples of make and its compilers, expected {FAMILY}")
    visit.find(fixture.GONE)
    remove_filters(visit)


def rules(visit):
    """Frames are left out or folded, and no sample is lost by it."""
    total = visit.samples()

    def rule(label, value):
        before = visit.shown()
        visit.browser.run(f"""(() => {{
            const select = document.querySelector('.rule select[aria-label="{label}"]');
            select.value = {value!r};
            select.dispatchEvent(new Event('change'));
        }})()""")
        visit.ready(before)
    visit.find("sys_read")
    rule("Kernel", "hide")
    check(visit.state("hide") == "kernel", "the rule is not in the address")
    check(not visit.seek("sys_read"), "a frame of the kernel is not left out")
    rule("Libraries", "fold")
    visit.find("libparse.so.1")
    check(visit.samples() == total, f"{visit.samples()} samples with rules, {total} without")
    remove_filters(visit)
    visit.find("lex")


def sorts_and_turns_around(visit):
    """The top table is sorted by a click on its head, and a function in it is shown with its callers and callees."""
    def head(title):
        return f"[...document.querySelectorAll('#view-top th button')].find((button) => button.textContent.startsWith({title!r}))"

    def names():
        return visit.browser.run("[...document.querySelectorAll('#view-top tbody tr td.name button')].map((button) => button.textContent)")
    visit.ready(visit.press("#tab-top"))
    first = names()
    check(first[0] == "collect_garbage" or first[0] == "sys_read", f"{first[0]!r} has most itself")
    visit.browser.run(f"{head('Name')}.click()")
    visit.browser.run(f"{head('Name')}.click()")
    check(names() != first and names()[0] == sorted(names(), key=str.lower)[0], f"by name {names()} comes first")
    check(visit.browser.run(f"{head('Name')}.closest('th').getAttribute('aria-sort')") == "ascending", "the order is not announced")
    visit.browser.run(f"{head('Self')}.click()")
    row = "[...document.querySelectorAll('#view-top tbody button')].find((button) => button.textContent === 'parse')"
    click(visit, row)
    check(visit.state("tab") == "sandwich" and visit.state("fn") == "parse", "a row does not lead to its callers")
    share = f"{100 * PARSED / fixture.total():.1f}"
    check(f"{share} %" in visit.text("#view-sandwich .graph-title"), f"{share} % expected in {visit.text('#view-sandwich .graph-title')!r}")
    visit.ready(visit.press("#tab-flame"))


def drags_over_the_heat_map(visit):
    """Of the heat map a part of a second can be selected."""
    visit.ready(visit.press("#as-heat"))
    visit.browser.until("document.querySelector('#as-heat').getAttribute('aria-pressed') === 'true'")
    left, top, width, height = visit.box("#timeline")
    before, total = visit.shown(), visit.samples()
    visit.browser.drag(left + width * 0.5, top + height / 2, left + width * 0.503)
    visit.ready(before)
    length = int(visit.state("until")) - int(visit.state("from"))
    check(0 < length < 1000 and length % 20 == 0, f"{length} ms are selected")
    check(visit.samples() < total, "a part of a second has all samples")
    visit.ready(visit.press("#reset-range"))
    visit.ready(visit.press("#as-lines"))


def downloads(visit):
    """What is shown is downloaded in every format, and its tool finds as many samples as the page says."""
    visit.choose("Executable", "server")
    shown = visit.samples()
    visit.browser.run("document.querySelector('#download').open = true")
    links = visit.browser.until("(() => { const links = [...document.querySelectorAll('#download-links a')].map((a) => a.href); return links.length && links; })()")
    ends = {"pprof": ".pb.gz", "folded": ".folded", "svg": ".svg", "firefox": ".json", "html": ".html"}
    with tempfile.TemporaryDirectory() as folder:
        for link in links:
            kind = link.split("format=")[1].split("&")[0]
            text = visit.browser.run(f"""fetch({link!r}).then((answer) => answer.arrayBuffer()).then((bytes) => {{
                let text = '';
                for (const byte of new Uint8Array(bytes)) text += String.fromCharCode(byte);
                return btoa(text);
            }})""")
            file = Path(folder) / f"shown{ends[kind]}"
            file.write_bytes(base64.b64decode(text))
            samples, _markers, _lost = opened(file)
            check(samples in (shown, None), f"{kind} has {samples} samples, {shown} are shown")
        check(len(links) == len(ends), f"there are {links}")
    visit.browser.run("document.querySelector('#download').open = false")
    visit.choose("Executable", "")


def all_of_them(visit, is_served):
    names_what_a_frame_is(visit)
    merges(visit)
    filters_by_thread(visit)
    filters_by_container(visit)
    shows_a_family(visit)
    rules(visit)
    sorts_and_turns_around(visit)
    drags_over_the_heat_map(visit)
    if is_served:
        downloads(visit)
