#!/usr/bin/env python3
"""What a person does with the page, done in a real Chromium.

tests/browser/page.py file PIPELINE            the page of a file: `view`, `convert` and `diff`
tests/browser/page.py live URL GONE BURNER     the live page: GONE names a program that has ended, BURNER one that runs

AXE names axe-core's axe.min.js, SPEEDSCOPE the index.html of speedscope's release; without one of them that part is left
out, and the output says so. Exit code 1 and the fault on standard error if something is not as it should be.
"""

import base64
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import fixture
import views
from chromium import BrowserError, Chromium
from visit import Visit, check

def zooms(visit, name):
    """A click makes a frame as wide as the graph, Escape takes that back, and arrows move."""
    part, row = visit.find(name)
    visit.browser.click(*visit.frame(part, row))
    visit.browser.until("location.hash.includes('zoom=')")
    for at in (0.01, 0.5, 0.99):
        found = visit.name_at(at, row)
        check(found == name, f"{found!r} at {at} after a zoom into {name!r}")
    visit.browser.run("document.querySelector('#view-flame canvas').focus()")
    before = visit.text("#announce")
    visit.browser.key("ArrowUp")
    check(visit.text("#announce") != before, "an arrow says nothing to a screen reader")
    while visit.state("zoom"):
        zoom = visit.state("zoom")
        visit.browser.key("Escape")
        check(visit.state("zoom") != zoom, "Escape does not zoom out")


def searches(visit, pattern, least, most):
    visit.browser.run("document.querySelector('#search').focus()")
    visit.browser.send("Input.insertText", text=pattern)
    visit.browser.until("/matched/.test(document.querySelector('#matched').textContent)")
    share = float(re.search(r"([\d.]+) %", visit.text("#matched")).group(1))
    check(least <= share <= most, f"{pattern!r} matches {share} %, expected {least} to {most}")


def drags(visit):
    """A drag selects a range, a second one what it is compared with."""
    if visit.state("until"):
        # The time line has all that is held by now, which may be more than what is shown.
        visit.ready(visit.press("#reset-range"))
    left, top, width, height = visit.box("#timeline")
    before, all_samples = visit.shown(), visit.samples()
    visit.browser.drag(left + width * 0.7, top + height / 2, left + width * 0.95)
    visit.ready(before)
    check(visit.state("until"), "a drag selects nothing")
    check(0 < visit.samples() < all_samples, f"{visit.samples()} of {all_samples} samples in a part of the time")
    visit.press("#compare")
    before = visit.shown()
    visit.browser.drag(left + width * 0.1, top + height / 2, left + width * 0.4)
    visit.ready(before)
    check(visit.state("base_until"), "a second drag compares nothing")
    check(" against " in visit.text("#range"), visit.text("#range"))
    visit.name_at(0.5, 1)
    check("change" in visit.text("#details"), f"no change is named: {visit.text('#details')}")


def comes_back(visit):
    """What is looked at is in the address, and is there again after a reload."""
    def look():
        return visit.browser.run("""[location.hash, document.querySelector('#range').textContent,
            document.querySelector('#search').value, document.querySelector('[role=tab][aria-selected=true]').id,
            document.querySelector('#chips').textContent]""")
    before = look()
    visit.browser.send("Page.reload")
    visit.browser.until("document.readyState === 'complete' && document.body.dataset.ready")
    check(look() == before, f"{before} became {look()}")


def is_accessible(visit, place):
    axe = os.environ.get("AXE")
    if not axe:
        print(f"SKIPPED: axe-core on {place}: no AXE, see tests/setup.sh")
        return
    visit.browser.run(Path(axe).read_text(encoding="utf-8") + ";0")
    found = visit.browser.run("""axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ html }) => html.slice(0, 160)).slice(0, 3).join(' | ')}`))""")
    check(not found, f"{place}: " + "; ".join(found))


def is_quiet(visit, place):
    visit.browser.run("0")
    check(not visit.browser.faults, f"{place} has logged: {visit.browser.faults}")
    check(visit.browser.run("document.title").startswith("pipeline"), "the title was changed")


def visits_all_tabs(visit, place):
    for tab in ("sandwich", "top", "processes", "flame"):
        before = visit.press(f"#tab-{tab}")
        visit.ready(before)
        is_accessible(visit, f"{place}, {tab}")
    before = visit.press("#as-heat")
    visit.ready(before)
    visit.press("#as-lines")
    visit.press("#theme")
    is_accessible(visit, f"{place}, the other theme")
    visit.press("#theme")


def shows_gone(visit, name):
    """A process that has ended is there, marked, and can be looked at alone."""
    before = visit.press("#tab-processes")
    visit.ready(before)
    row = f"[...document.querySelectorAll('#view-processes tbody tr')].find((row) => row.querySelector('.name').textContent.includes({name!r}))"
    visit.browser.until(f"Boolean({row})")
    check(visit.browser.run(f"Boolean({row}.querySelector('.mark'))"), f"{name} is not marked as gone")
    all_samples = visit.samples()
    visit.browser.run(f"{row}.querySelector('.name button:not(.twist)').click()")
    # Whatever else a live page shows before: all that there is grows.
    visit.shows_fewer_than(all_samples)
    alone = visit.samples()
    check(visit.state("pid") and 0 < alone < all_samples, f"{alone} of {all_samples} samples are of {name}")
    check(name in visit.name_at(0.5, 1), f"{visit.name_at(0.5, 1)!r} is shown")
    visit.browser.run("document.querySelector('#chips button').click()")
    # It has ended, and has no more than that.
    visit.shows_more_than(alone)


def page_of_a_file(visit, address, total, place):
    visit.open(address)
    check(visit.samples() == total, f"{place}: {visit.samples()} samples, expected {total}")
    check(visit.box("#live")[2] == 0, f"{place}: a file is not live")
    zooms(visit, "serve")
    shows_gone(visit, fixture.GONE)
    visit.choose("Executable", "server")
    of_server = sum((until - since) * count for _, path, _, (since, until), stacks in fixture.PROCESSES for _, count in stacks if "server" in path)
    check(visit.samples() == of_server, f"{place}: {visit.samples()} samples of the server, expected {of_server}")
    visit.choose("Code", "kernel")
    check(visit.samples() == 60 * 15, f"{place}: {visit.samples()} samples in the kernel")
    visit.choose("Code", "any")
    visit.choose("CPU", "1")
    check(visit.samples() == 20 * 30, f"{place}: {visit.samples()} samples on CPU 1")
    visit.choose("CPU", "")
    searches(visit, "garbage$", 100 * 600 / of_server - 0.1, 100 * 600 / of_server + 0.1)
    comes_back(visit)
    visit.choose("Executable", "")
    visit.browser.run("(() => { const search = document.querySelector('#search'); search.value = ''; search.dispatchEvent(new Event('input')); })()")
    views.all_of_them(visit, address.startswith("http"))
    visits_all_tabs(visit, place)
    drags(visit)
    comes_back(visit)
    is_accessible(visit, place)
    is_quiet(visit, place)


def opens_in_speedscope(pipeline, profile, total, folder):
    """speedscope itself reads what is written for it, and counts the same samples."""
    speedscope = os.environ.get("SPEEDSCOPE")
    if not speedscope:
        print("SKIPPED: speedscope: no SPEEDSCOPE, see tests/setup.sh")
        return
    written, load = Path(folder) / "profile.speedscope.json", Path(folder) / "load.js"
    subprocess.run([pipeline, "convert", profile, written], check=True)
    text = base64.b64encode(written.read_bytes()).decode()
    load.write_text(f'speedscope.loadFileFromBase64("profile.speedscope.json", "{text}")', encoding="utf-8")
    with Chromium() as browser:
        browser.open(f"file://{Path(speedscope).resolve()}#localProfilePath={load}")
        browser.until("/samples/.test(document.body.innerText)")
        # Its third view is a table of functions: total, self, name.
        browser.key("3")
        table = browser.until("(document.body.innerText.split('Symbol Name\\n')[1] || '').includes('main') && document.body.innerText.split('Symbol Name\\n')[1]")
        cells = [cell for cell in (line.strip() for line in table.split("\n")) if cell]
        rows = {name: (whole, own) for whole, own, name in zip(cells[::3], cells[1::3], cells[2::3])}
        check(rows["main"][0] == f"{total:,} (100%)", f"speedscope has {rows['main']} of main, expected {total}")
        own = sum(int(own.split(" ")[0].replace(",", "")) for _, own in rows.values())
        check(own == total, f"speedscope has {own} samples, expected {total}")
        check(not browser.faults, f"speedscope has logged: {browser.faults}")


def of_files(pipeline):
    with tempfile.TemporaryDirectory() as folder:
        profile, html, diff = (str(Path(folder) / name) for name in ("profile.jsonl", "profile.html", "diff.html"))
        total = fixture.write(profile)
        before, after = Path(folder) / "before.folded", Path(folder) / "after.folded"
        before.write_text("server;main;serve;read_request 10\nserver;main;serve;log 10\n", encoding="utf-8")
        after.write_text("server;main;serve;read_request 30\nserver;main;serve;write 10\n", encoding="utf-8")
        subprocess.run([pipeline, "convert", profile, html], check=True)
        subprocess.run([pipeline, "diff", before, after, "-o", diff], check=True)
        opens_in_speedscope(pipeline, profile, total, folder)
        with Chromium() as browser:
            page_of_a_file(Visit(browser), f"file://{html}", total, "the page as a file")
        with Chromium(dark=True) as browser:
            visit = Visit(browser)
            visit.open(f"file://{diff}")
            check(visit.text("#range") == "after.folded against before.folded", visit.text("#range"))
            visit.find("log")
            check("before 50.0 %" in visit.text("#details"), visit.text("#details"))
            comes_back(visit)
            is_accessible(visit, "the page that compares files")
            is_quiet(visit, "the page that compares files")
        view = subprocess.Popen([pipeline, "view", profile], stdout=subprocess.PIPE, text=True)
        try:
            address = view.stdout.readline().strip()
            with Chromium(dark=True) as browser:
                page_of_a_file(Visit(browser), address, total, "the page of `view`")
        finally:
            view.terminate()
            check(view.wait(120) == 0, "view does not end well")


def keeps_its_zoom(visit, name):
    """What comes later changes the numbers and not what is looked at."""
    part, row = visit.find(name)
    visit.browser.click(*visit.frame(part, row))
    visit.browser.until("location.hash.includes('zoom=')")
    zoom, shown, samples = visit.state("zoom"), visit.shown(), visit.samples()
    for _ in range(2):
        shown = visit.ready(shown)
    visit.browser.until(f"!document.querySelector('#strip').textContent.includes('Samples {samples:,}L')")
    check(visit.state("zoom") == zoom, "the zoom has moved")
    for at in (0.02, 0.98):
        found = visit.name_at(at, row)
        check(found == name, f"{found!r} is there after more has come, not {name!r}")
    visit.press("#zoom-out")


def of_live(address, gone, burner):
    with Chromium() as browser:
        visit = Visit(browser)
        visit.open(address)
        visit.browser.until(f"document.querySelector('#legend').textContent.includes({burner!r})")
        keeps_its_zoom(visit, burner)
        before = visit.shown()
        # All that is held rather than the last minute, before which something may have ended.
        visit.browser.run("""(() => {
            const last = document.querySelector('#last');
            last.value = '0';
            last.dispatchEvent(new Event('change'));
        })()""")
        visit.ready(before)
        shows_gone(visit, gone)
        visit.press("#live")
        check(visit.text("#live-text") == "Paused", "it does not pause")
        before = visit.samples()
        visits_all_tabs(visit, "the live page")
        check(visit.samples() == before, "what is paused has changed")
        searches(visit, burner, 1, 100)
        drags(visit)
        comes_back(visit)
        is_accessible(visit, "the live page")
        is_quiet(visit, "the live page")


def main():
    try:
        if sys.argv[1] == "file":
            of_files(sys.argv[2])
        else:
            of_live(*sys.argv[2:5])
    except BrowserError as fault:
        sys.exit(f"page.py: {fault}")


if __name__ == "__main__":
    main()
