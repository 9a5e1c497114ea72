// A flame graph on a canvas: only what is in sight is drawn, however much there is.

import { changeColor, frameColor, hash, isDark } from "./colors.js";
import { fit, make, visible } from "./dom.js";

const ROW = 19;
const CHARACTER = 7.2;
const FONT = '12px ui-monospace, "DejaVu Sans Mono", monospace';

export class FlameGraph {
  // `events`: hover(tree, node), zoom(path), choose(tree, node); `isUpward`: the root is at the bottom.
  constructor(label, events) {
    this.events = events;
    this.canvas = make("canvas", { tabindex: "0", role: "application", "aria-roledescription": "flame graph", "aria-label": label });
    this.space = make("div", { class: "space" });
    this.box = make("div", { class: "graph" }, this.canvas, this.space);
    Object.assign(this, { tree: null, focus: 0, chosen: 0, hovered: -1, isUpward: false, matcher: null, matches: null });
    this.box.addEventListener("scroll", () => this.draw());
    this.canvas.addEventListener("mousemove", (event) => this.hover(this.at(event)));
    this.canvas.addEventListener("mouseleave", () => this.hover(-1));
    this.canvas.addEventListener("click", (event) => this.click(event));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  // Shows another tree; who was zoomed in stays where that was, as far as it is still there.
  show(tree, path) {
    const chosen = this.tree && this.chosen ? this.pathOf(this.chosen) : "";
    this.tree = tree;
    this.focus = this.find(path || "");
    this.chosen = this.find(chosen) || this.focus;
    this.hovered = -1;
    this.match();
    this.draw();
  }

  upward(is) {
    this.isUpward = is;
    this.draw();
    if (is) this.box.scrollTop = this.box.scrollHeight;
    this.draw();
  }

  search(matcher) {
    this.matcher = matcher;
    this.match();
    this.draw();
  }

  // What a path names: a short sum for each frame from the root on.
  pathOf(node) {
    const parts = [];
    for (let at = node; at > 0; at = this.tree.parent[at]) parts.push(this.sum(at));
    return parts.reverse().join(".");
  }

  sum(node) { return (hash(`${this.tree.name(node)}\n${this.tree.module(node)}`) % 0x1000000).toString(36); }

  find(path) {
    let at = 0;
    for (const part of path ? path.split(".") : []) {
      const child = this.tree.children(at).find((node) => this.sum(node) === part);
      if (child === undefined) break;
      at = child;
    }
    return at;
  }

  // Which frames match, and what share of what is in sight is in them, each sample once.
  match() {
    this.matches = null;
    this.matched = 0;
    const tree = this.tree;
    if (!this.matcher || !tree) return;
    const isMatch = tree.frames.name.map((name, at) => this.matcher(name) || this.matcher(tree.frames.module[at]));
    this.matches = isMatch;
    for (let node = this.focus; node < tree.end[this.focus];) {
      if (isMatch[tree.frame[node]]) {
        this.matched += tree.weight(node);
        node = tree.end[node];
      } else node += 1;
    }
    this.matched /= tree.weight(this.focus) || 1;
  }

  draw() {
    const tree = this.tree;
    const [width, height] = [this.box.clientWidth, this.box.clientHeight];
    if (!width || !height) return;
    const context = fit(this.canvas, width, height);
    this.canvas.style.height = `${height}px`;
    const rows = tree ? tree.deepest + 1 : 0;
    this.space.style.height = `${Math.max(0, rows * ROW - height)}px`;
    context.clearRect(0, 0, width, height);
    if (!tree || !tree.number) return;
    context.font = FONT;
    context.textBaseline = "middle";
    const [from, until] = [tree.from[this.focus], tree.until[this.focus]];
    this.scale = width / (until - from || 1);
    const top = this.box.scrollTop;
    for (let node = 0; node < tree.number;) {
      const x = (tree.from[node] - from) * this.scale;
      const w = (tree.until[node] - tree.from[node]) * this.scale;
      if (x + w <= 0 || x >= width || w < 0.4) {
        node = tree.end[node];
        continue;
      }
      const y = this.y(tree.depth[node], rows, height) - top;
      if (y > -ROW && y < height) this.box1(context, node, Math.max(0, x), y, Math.min(width, x + w) - Math.max(0, x));
      node += 1;
    }
  }

  y(depth, rows, height) {
    return this.isUpward ? Math.max(height, rows * ROW) - (depth + 1) * ROW : depth * ROW;
  }

  box1(context, node, x, y, width) {
    const tree = this.tree;
    const frame = tree.frame[node];
    const isMatch = this.matches && this.matches[frame];
    const isAbove = tree.depth[node] < tree.depth[this.focus];
    context.globalAlpha = isAbove ? 0.45 : (this.matches && !isMatch ? 0.3 : 1);
    context.fillStyle = tree.isDiff ? changeColor(tree.change(node)) : frameColor(tree.name(node), tree.module(node), tree.flags(node));
    context.fillRect(x, y, Math.max(0.5, width - 0.6), ROW - 1);
    context.globalAlpha = 1;
    if (node === this.hovered || (node === this.chosen && document.activeElement === this.canvas)) {
      context.strokeStyle = isDark() ? "#ffffff" : "#000000";
      context.lineWidth = node === this.chosen ? 2 : 1;
      context.strokeRect(x + 1, y + 0.5, Math.max(1, width - 2.6), ROW - 2);
    }
    const room = Math.floor((width - 6) / CHARACTER);
    if (room < 3) return;
    const name = visible(tree.name(node));
    context.fillStyle = isDark() && !isAbove ? "#ffffff" : (isDark() ? "#d0d5de" : "#14171c");
    context.fillText(name.length > room ? `${name.slice(0, room - 1)}…` : name, x + 4, y + ROW / 2);
  }

  // The node under the pointer, or -1.
  at(event) {
    const tree = this.tree;
    if (!tree || !tree.number) return -1;
    const place = this.canvas.getBoundingClientRect();
    const rows = tree.deepest + 1;
    const y = event.clientY - place.top + this.box.scrollTop;
    const depth = this.isUpward ? Math.floor((Math.max(place.height, rows * ROW) - y) / ROW) : Math.floor(y / ROW);
    const x = (event.clientX - place.left) / (this.scale || 1) + tree.from[this.focus];
    for (let node = 0; node < tree.number;) {
      if (x < tree.from[node] || x >= tree.until[node]) node = tree.end[node];
      else if (tree.depth[node] === depth) return node;
      else node += 1;
    }
    return -1;
  }

  hover(node) {
    if (node === this.hovered) return;
    this.hovered = node;
    this.draw();
    this.events.hover(this.tree, node);
  }

  click(event) {
    const node = this.at(event);
    if (node < 0) return;
    this.choose(node);
    this.zoom(node);
  }

  choose(node) {
    this.chosen = node;
    this.draw();
    this.events.choose(this.tree, node);
  }

  zoom(node) {
    this.focus = node;
    this.match();
    this.draw();
    this.events.zoom(this.pathOf(node));
  }

  key(event) {
    const tree = this.tree;
    if (!tree || !tree.number) return;
    const [inward, outward] = this.isUpward ? ["ArrowUp", "ArrowDown"] : ["ArrowDown", "ArrowUp"];
    const parent = tree.parent[this.chosen];
    const siblings = parent < 0 ? [0] : tree.children(parent);
    const place = siblings.indexOf(this.chosen);
    const widest = (nodes) => nodes.reduce((most, node) => (most < 0 || tree.weight(node) > tree.weight(most) ? node : most), -1);
    let next = -1;
    if (event.key === inward) next = widest(tree.children(this.chosen));
    else if (event.key === outward) next = parent;
    else if (event.key === "ArrowLeft") next = siblings[place - 1] ?? -1;
    else if (event.key === "ArrowRight") next = siblings[place + 1] ?? -1;
    else if (event.key === "Home") next = 0;
    else if (event.key === "Enter") this.zoom(this.chosen);
    else return;
    event.preventDefault();
    if (next >= 0) this.choose(next);
    const y = this.y(tree.depth[this.chosen], tree.deepest + 1, this.box.clientHeight);
    if (y < this.box.scrollTop) this.box.scrollTop = y;
    if (y + ROW > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = y + ROW - this.box.clientHeight;
  }
}
