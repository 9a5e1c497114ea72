#!/usr/bin/env python3
"""How long a browser takes to draw a large flame graph: this page's canvas beside d3-flame-graph.

tests/browser/drawing.py D3 D3_FLAME_GRAPH [NODES...]     dist/d3.js of npm's d3, dist/d3-flamegraph.js of d3-flame-graph

Prints a table for docs/decisions/live-page.md. A time is from the call to the second frame after it, which has been drawn.
"""

import sys
import tempfile
from pathlib import Path

from chromium import Chromium

SCRIPTS = Path(__file__).resolve().parents[2] / "crates/profile-page/page/js"

# A tree of so many nodes: each gives what it has to up to five callees, down to a depth of 40.
MAKE = """
const makeTree = (most) => {
  let seed = 1;
  const random = () => { seed = (seed * 48271) % 2147483647; return seed / 2147483647; };
  const root = { name: "all", value: 1e9, children: [] };
  let [pending, count] = [[root], 1];
  for (let depth = 0; depth < 40 && count < most; depth += 1) {
    const next = [];
    for (const node of pending) {
      let left = node.value * (0.9 + 0.1 * random());
      for (let child = 0; child < 1 + 4 * random() && count < most; child += 1) {
        const value = Math.floor(left * (0.4 + 0.5 * random()));
        if (value < 1) break;
        left -= value;
        node.children.push({ name: `function_${count % 5000}`, value, children: [] });
        count += 1;
      }
      next.push(...node.children);
    }
    // Those with most go on, as in a real program.
    pending = next.sort((a, b) => b.value - a.value).slice(0, Math.ceil(most / 30));
  }
  return root;
};
const columnsOf = (root) => {
  const columns = { depth: [], frame: [], samples: [], value: [], own_samples: [], own_value: [], frames: { name: [], module: [], build_id: [], file: [], line: [], flags: [] } };
  const known = new Map();
  const walk = (node, depth) => {
    if (!known.has(node.name)) { known.set(node.name, known.size); columns.frames.name.push(node.name); columns.frames.module.push("/bin/a"); columns.frames.flags.push(4); }
    columns.depth.push(depth);
    columns.frame.push(known.get(node.name));
    for (const key of ["samples", "value"]) { columns[key].push(node.value); columns[`own_${key}`].push(node.value - node.children.reduce((sum, child) => sum + child.value, 0)); }
    node.children.forEach((child) => walk(child, depth + 1));
  };
  walk(root, 0);
  return columns;
};
const measure = async (call) => {
  const start = performance.now();
  call();
  for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
  return performance.now() - start;
};
"""

OURS = """(async () => {
  const columns = columnsOf(makeTree(NODES));
  const graph = new FlameGraph("measured", { hover() {}, choose() {}, zoom() {} });
  graph.box.style.cssText = "position:relative;width:1360px;height:800px;overflow:auto";
  document.body.append(graph.box);
  const first = await measure(() => graph.show(new FlameTree(columns), ""));
  const zoom = await measure(() => graph.zoom(graph.tree.children(0)[0]));
  const back = await measure(() => graph.zoom(0));
  const hover = await measure(() => graph.canvas.dispatchEvent(new MouseEvent("mousemove", { clientX: 300, clientY: 100 })));
  return [columns.depth.length, first, zoom, back, hover];
})()"""

THEIRS = """(async () => {
  const root = makeTree(NODES);
  const box = document.createElement("div");
  document.body.append(box);
  const make = flamegraph.default || flamegraph;
  const graph = make().width(1360).transitionDuration(0).minFrameSize(0.4);
  const first = await measure(() => d3.select(box).datum(root).call(graph));
  const child = root.children[0];
  const frames = d3.select(box).selectAll("g.frame");
  const find = (name) => frames.filter((frame) => frame.data === name);
  const zoom = await measure(() => graph.zoomTo(find(child).datum()));
  const back = await measure(() => graph.resetZoom());
  const hover = await measure(() => box.querySelector("g.frame").dispatchEvent(new MouseEvent("mouseover", { bubbles: true })));
  return [box.querySelectorAll("g.frame").length, first, zoom, back, hover];
})()"""


def ours():
    names = ("format", "dom", "colors", "tree", "flame")
    lines = (line for name in names for line in (SCRIPTS / f"{name}.js").read_text().splitlines())
    return "\n".join(line.removeprefix("export ") for line in lines if not line.startswith("import "))


def measured(scripts, call, nodes):
    with tempfile.TemporaryDirectory() as folder, Chromium() as browser:
        page = Path(folder) / "page.html"
        page.write_text("<!DOCTYPE html><meta charset=utf-8><body>" + "".join(f"<script>{script}</script>" for script in scripts))
        browser.open(f"file://{page}")
        runs = [browser.run(call.replace("NODES", str(nodes))) for _ in range(3)]
        return runs[0][0], [min(run[column] for run in runs) for column in range(1, 5)]


def main():
    d3, theirs = (Path(name).read_text() for name in sys.argv[1:3])
    print("| nodes | drawn by | elements or nodes | first | zoom | back | pointer |\n| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for nodes in map(int, sys.argv[3:] or ["1000", "10000", "100000"]):
        for name, scripts, call in (("canvas", [ours(), MAKE], OURS), ("d3-flame-graph", [d3, theirs, MAKE], THEIRS)):
            held, times = measured(scripts, call, nodes)
            print(f"| {nodes:,} | {name} | {held:,} | " + " | ".join(f"{time:.0f} ms" for time in times) + " |", flush=True)


if __name__ == "__main__":
    main()
