"""A person at a page: what they see, and what they do with a pointer and keys."""

import re
from urllib.parse import parse_qs

from chromium import BrowserError

ROW = 19
# Samples that the page says are shown, as an expression of its own.
SAMPLES = "Number(/Samples ([\\d,]+)/.exec(document.querySelector('#strip').textContent)[1].replaceAll(',', ''))"


class Visit:
    """A person at a page."""

    def __init__(self, browser):
        self.browser = browser

    def open(self, address):
        self.browser.open(address)
        self.ready()

    def ready(self, after=0):
        """Waits until the page has shown answers that it asked for later than `after`."""
        return int(self.browser.until(f"Number(document.body.dataset.ready || 0) > {after} && document.body.dataset.ready"))

    def shown(self):
        return int(self.browser.run("document.body.dataset.ready || 0"))

    def state(self, key):
        text = self.browser.run("location.hash.slice(1)")
        return parse_qs(text).get(key, [""])[0]

    def text(self, selector):
        return self.browser.run(f"document.querySelector({selector!r}).textContent")

    def samples(self):
        """Samples that the page says are shown."""
        return int(re.search(r"Samples ([\d,]+)", self.text("#strip")).group(1).replace(",", ""))

    def shows_fewer_than(self, samples):
        """Waits until fewer samples than so many are shown."""
        self.browser.until(f"{SAMPLES} < {samples}")

    def shows_more_than(self, samples):
        """Waits until more samples than so many are shown."""
        self.browser.until(f"{SAMPLES} > {samples}")

    def box(self, selector):
        script = f"(() => {{ const b = document.querySelector({selector!r}).getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; }})()"
        return self.browser.run(script)

    def press(self, selector):
        before = self.shown()
        left, top, width, height = self.box(selector)
        self.browser.click(left + width / 2, top + height / 2)
        return before

    def frame(self, part, row):
        """The point at this part of the width of the flame graph, in this row from the top."""
        left, top, width, _ = self.box("#view-flame canvas")
        return left + part * width, top + row * ROW + ROW / 2

    def name_at(self, part, row):
        """The name of the frame there, as the page says when it is pointed at."""
        self.browser.point(*self.frame(part, 30))
        self.browser.point(*self.frame(part, row))
        return self.browser.run("(document.querySelector('#details .title') || {firstChild: {textContent: ''}}).firstChild.textContent")

    def find(self, name):
        """A point of the frame with this name."""
        found = self.seek(name)
        check(found, f"no frame {name!r} in sight")
        return found

    def seek(self, name, deepest=12):
        """A point in the middle of the frame with this name, if it is in sight: an edge moves when more samples come. The page itself is asked, by events as a pointer makes them."""
        return self.browser.run(f"""(() => {{
            const canvas = document.querySelector('#view-flame canvas');
            const place = canvas.getBoundingClientRect();
            const at = (part, row) => {{
                canvas.dispatchEvent(new MouseEvent('mousemove', {{ clientX: place.left + part * place.width, clientY: place.top + row * {ROW} + {ROW // 2} }}));
                const title = document.querySelector('#details .title');
                return title ? title.firstChild.textContent : '';
            }};
            for (let row = 0; row < {deepest}; row += 1) {{
                const steps = [];
                for (let step = 1; step < 200; step += 1) {{
                    if (at(step / 200, row) === {name!r}) steps.push(step);
                    else if (steps.length) break;
                }}
                if (steps.length) {{
                    const middle = (steps[0] + steps[steps.length - 1]) / 400;
                    // The details are of this frame again, not of the neighbour that ended the search.
                    at(middle, row);
                    return [middle, row];
                }}
            }}
            return null;
        }})()""")

    def choose(self, label, value):
        """Sets one of the filters."""
        before = self.shown()
        script = f"""(() => {{
            const label = [...document.querySelectorAll('#filter-row label')].find((each) => each.firstChild.textContent === {label!r});
            const field = label.querySelector('input, select');
            field.value = {value!r};
            field.dispatchEvent(new Event('change', {{ bubbles: true }}));
        }})()"""
        self.browser.run(script)
        self.ready(before)


def check(condition, text):
    if not condition:
        raise BrowserError(text)
