// The page: asks its source for what the state says, and shows it.

import { showDetails, spoken } from "./details.js";
import { element, make, press, replace, visible } from "./dom.js";
import { Filters } from "./filters.js";
import { FlameGraph } from "./flame.js";
import { clock, duration, share } from "./format.js";
import { theSource } from "./start.js";
import { State } from "./state.js";
import { showStrip } from "./strip.js";
import { ProcessTable, SortedTable, topColumns } from "./tables.js";
import { theTimeLine } from "./timeline.js";
import { FlameTree } from "./tree.js";

const LIVE_EVERY = 2000;
const TABS = ["flame", "sandwich", "top", "processes"];
const TOP_ROWS = [["function", "Functions"], ["module", "Modules"], ["executable", "Executables"], ["thread", "Threads"], ["process", "Processes"], ["container", "Containers"]];

class Page {
  constructor(source) {
    this.source = source;
    this.state = new State();
    this.unit = "nanoseconds";
    this.asked = 0;
    if (!source.isLive) Object.assign(this.state.values, { live: false, last: 0 });
    if (source.parts.length === 2 && !location.hash) this.state.values = { ...this.state.values, ...this.comparison() };
    this.filters = new Filters(this.state, (query, rows) => this.names(query, rows));
    this.timeLine = theTimeLine({ select: (...range) => this.select(...range), only: (name) => this.state.set({ exe: name, zoom: "" }) });
    // Of profiles that are compared each has a time of its own.
    this.timeLine.isRelative = source.parts.length > 0;
    this.makeViews();
    this.listen();
    this.state.onChange((changed) => this.changed(changed));
    this.drawControls();
    showDetails(null, -1);
    this.refresh();
  }

  // The view that compares the two profiles of a file.
  comparison() {
    const [before, after] = this.source.parts;
    return { from: after.from, until: after.until, base_from: before.from, base_until: before.until };
  }

  makeViews() {
    const events = (zoom) => ({
      hover: (tree, node) => showDetails(tree, node, this.unit, (of, at) => this.sandwich(of, at)),
      choose: (tree, node) => {
        showDetails(tree, node, this.unit, (of, at) => this.sandwich(of, at));
        element("announce").textContent = spoken(tree, node);
      },
      zoom,
    });
    this.flame = new FlameGraph("Flame graph. Arrows move, Enter zooms, Escape zooms out.", events((zoom) => this.state.set({ zoom })));
    this.none = make("div", { class: "empty", hidden: true });
    replace(element("view-flame"), this.none, this.flame.box);
    this.callers = new FlameGraph("Callers of the function", events(() => {}));
    this.callees = new FlameGraph("Callees of the function", events(() => {}));
    this.callers.isUpward = true;
    this.sandwichTitle = make("div", { class: "graph-title" });
    replace(element("view-sandwich"), this.sandwichTitle, this.callers.box, make("div", { class: "quiet" }, "▲ callers   ▼ callees"), this.callees.box);
    this.top = new SortedTable("Who has used most", [], "own");
    this.topBy = make("select", { "aria-label": "Rows of the top table", onchange: () => this.state.set({ top: this.topBy.value }) },
      ...TOP_ROWS.map(([value, text]) => make("option", { value }, text)));
    this.topNote = make("span", { class: "quiet" });
    replace(element("view-top"), make("div", { class: "row graph-title" }, this.topBy, this.topNote), this.top.box);
    this.processes = new ProcessTable({
      only: (row) => this.state.set({ pid: `${row.pid}:${row.start}`, ancestor: "", zoom: "", tab: "flame" }),
      family: (row) => this.state.set({ ancestor: `${row.pid}:${row.start}`, pid: "", zoom: "", tab: "flame" }),
    });
    replace(element("view-processes"), this.processes.note, this.processes.box);
  }

  listen() {
    const on = (id, call) => element(id).addEventListener("click", call);
    on("live", () => this.setLive(!this.state.get("live")));
    on("theme", () => this.theme());
    on("reset-range", () => this.state.set(this.source.parts.length === 2 ? this.comparison() : { from: 0, until: 0, base_from: 0, base_until: 0 }));
    on("compare", () => this.setComparing(!this.timeLine.isComparing));
    on("as-lines", () => this.state.set({ line: "lines" }));
    on("as-heat", () => this.state.set({ line: "heat" }));
    on("icicle", () => this.state.set({ direction: "icicle" }));
    on("flame", () => this.state.set({ direction: "flame" }));
    on("zoom-out", () => this.zoomOut());
    on("help-open", () => element("help").showModal());
    on("help-close", () => element("help").close());
    TABS.forEach((tab) => on(`tab-${tab}`, () => this.state.set({ tab })));
    element("last").addEventListener("change", () => this.state.set({ last: Number(element("last").value), from: 0, until: 0, live: this.source.isLive }));
    element("search").addEventListener("input", () => this.state.set({ search: element("search").value }));
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.refresh(); });
    element("download").addEventListener("toggle", () => this.offerDownloads());
    document.addEventListener("click", (event) => {
      for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    });
    element("view-flame").parentElement.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      const tab = TABS[(TABS.indexOf(this.state.get("tab")) + step + TABS.length) % TABS.length];
      this.state.set({ tab });
      element(`tab-${tab}`).focus();
    });
  }

  key(event) {
    const isTyping = event.target.matches("input, select, textarea") || element("help").open;
    if (event.key === "Escape") {
      if (isTyping) event.target.blur();
      else this.escape();
      return;
    }
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      " ": () => this.setLive(!this.state.get("live")),
      "/": () => element("search").focus(),
      i: () => this.state.set({ direction: this.state.get("direction") === "icicle" ? "flame" : "icicle" }),
      c: () => this.setComparing(!this.timeLine.isComparing),
      s: () => this.flame.tree && this.sandwich(this.flame.tree, this.flame.hovered >= 0 ? this.flame.hovered : this.flame.chosen),
      "?": () => element("help").showModal(),
    };
    TABS.forEach((tab, at) => { keys[String(at + 1)] = () => this.state.set({ tab }); });
    if (!keys[event.key] || (event.key === " " && event.target.matches("button, summary"))) return;
    event.preventDefault();
    keys[event.key]();
  }

  escape() {
    const open = document.querySelector("details.menu[open]");
    if (open) open.open = false;
    else if (this.timeLine.isComparing) this.setComparing(false);
    else this.zoomOut();
  }

  zoomOut() {
    if (!this.flame.tree) return;
    const parent = this.flame.tree.parent[this.flame.focus];
    if (parent >= 0) this.flame.zoom(parent);
  }

  setLive(live) {
    if (!this.source.isLive) return;
    if (live) this.state.set({ live, from: 0, until: 0 });
    // What is in sight stays: from now on it is that range.
    else if (this.shown) this.state.set({ live, from: this.shown.from, until: this.shown.until });
    else this.state.set({ live });
  }

  setComparing(is) {
    this.timeLine.isComparing = is;
    press(element("compare"), is);
  }

  select(from, until, isBaseline) {
    this.setComparing(false);
    if (!isBaseline) this.state.set({ from, until, live: false });
    else if (this.state.get("until") || !this.shown) this.state.set({ base_from: from, base_until: until, live: false });
    else this.state.set({ base_from: from, base_until: until, live: false, from: this.shown.from, until: this.shown.until });
  }

  sandwich(tree, node) {
    if (node > 0) this.state.set({ fn: tree.name(node), module: tree.module(node), tab: "sandwich" });
  }

  theme() {
    const root = document.documentElement;
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* Files and strict browsers keep nothing. */ }
    this.draw();
  }

  changed(changed) {
    this.drawControls();
    const onlyLooks = ["search", "zoom", "direction", "line"];
    if (changed.includes("search")) this.search();
    if (changed.includes("zoom") && this.flame.tree && this.flame.pathOf(this.flame.focus) !== this.state.get("zoom")) {
      this.flame.show(this.flame.tree, this.state.get("zoom"));
    }
    if (changed.includes("zoom")) this.showMatched();
    if (changed.includes("direction")) this.flame.upward(this.state.get("direction") === "flame");
    if (changed.some((key) => !onlyLooks.includes(key)) || changed.includes("line")) this.refresh();
  }

  drawControls() {
    const { state } = this;
    const isLive = state.get("live");
    press(element("live"), isLive);
    element("live").hidden = !this.source.isLive;
    element("live-text").textContent = isLive ? "Live" : "Paused";
    element("last").value = String(state.get("last"));
    element("last").hidden = !this.source.isLive;
    document.querySelector('label[for="last"]').hidden = !this.source.isLive;
    for (const tab of TABS) {
      const is = state.get("tab") === tab;
      element(`tab-${tab}`).setAttribute("aria-selected", String(is));
      element(`tab-${tab}`).tabIndex = is ? 0 : -1;
      element(`view-${tab}`).hidden = !is;
    }
    press(element("icicle"), state.get("direction") === "icicle");
    press(element("flame"), state.get("direction") === "flame");
    press(element("as-lines"), state.get("line") === "lines");
    press(element("as-heat"), state.get("line") === "heat");
    this.timeLine.isHeat = state.get("line") === "heat";
    this.flame.isUpward = state.get("direction") === "flame";
    element("directions").hidden = state.get("tab") !== "flame";
    element("zoom-out").hidden = state.get("tab") !== "flame";
    if (document.activeElement !== element("search")) element("search").value = state.get("search");
    this.topBy.value = state.get("top");
    this.filters.draw();
  }

  // Asks for all that is in sight. Answers that come after a later question are not shown.
  async refresh() {
    const asked = ++this.asked;
    clearTimeout(this.timer);
    try {
      const answers = await this.ask();
      if (asked !== this.asked) return;
      this.answers = answers;
      this.draw();
      element("strip").dataset.fault = "";
    } catch (fault) {
      if (asked !== this.asked) return;
      element("strip").className = "strip bad";
      element("strip").dataset.fault = String(fault.message);
      replace(element("strip"), make("span", { class: "bad" }, "No answer: ", make("b", {}, visible(String(fault.message)))));
    }
    if (this.state.get("live") && !document.hidden) this.timer = setTimeout(() => this.refresh(), LIVE_EVERY);
  }

  async ask() {
    const { state, source } = this;
    const query = state.query();
    // The time line shows all there is.
    const all = state.query({});
    const tab = state.get("tab");
    const topQuery = { ...query, by: state.get("top") === "module" ? "module" : "function" };
    const [status, timeline, heat, tree, top, sandwich, processes] = await Promise.all([
      source.status(query),
      source.timeline(all),
      state.get("line") === "heat" ? source.heat(all) : null,
      tab === "flame" ? source.tree(query) : null,
      tab === "top" ? source.top(topQuery, state.get("top")) : null,
      tab === "sandwich" && state.get("fn") ? source.sandwich(query, state.get("fn"), state.get("module")) : null,
      tab === "processes" ? source.processes(query) : null,
    ]);
    return { status, timeline, heat, tree, top, sandwich, processes };
  }

  // Names of executables, threads or containers, those with most samples first.
  async names(query, rows) {
    const { answer } = await this.source.top(query, rows);
    const names = answer.rows.map(({ frame }) => (rows === "executable" ? frame.module : frame.name));
    return names.filter((name) => name && name !== "(no container)");
  }

  draw() {
    const answers = this.answers;
    if (!answers) return;
    const { status, timeline, heat, tree, top, sandwich, processes } = answers;
    const { state } = this;
    this.unit = status.answer.unit;
    this.hasValues = status.answer.has_values;
    this.shown = { from: status.from, until: status.until };
    showStrip(status.answer, status.agent);
    this.timeLine.show(timeline.answer, heat && heat.answer, this.unit);
    const baseline = state.get("base_until") ? [state.get("base_from"), state.get("base_until")] : null;
    this.timeLine.mark({ now: state.get("until") ? [state.get("from"), state.get("until")] : (state.get("last") && this.source.isLive ? [status.from, status.until] : null), then: baseline });
    const range = this.rangeName(status.from, status.until) || `${clock(status.from)} to ${clock(status.until)} (${duration(status.until - status.from)})`;
    element("range").textContent = baseline ? `${range} against ${this.rangeName(...baseline) || `${clock(baseline[0])} to ${clock(baseline[1])}`}` : range;
    // A profile without instants has no time to be shown.
    element("time").hidden = !this.source.isLive && timeline.answer.steps <= 1;
    if (tree) this.drawFlame(new FlameTree(tree.answer));
    if (top) this.drawTop(top.answer);
    if (sandwich) this.drawSandwich(sandwich.answer);
    else if (state.get("tab") === "sandwich") this.drawNoSandwich();
    if (processes) this.processes.show(processes.answer, this.unit, this.hasValues, this.matcher());
    this.search();
    document.body.dataset.ready = String(this.asked);
  }

  // The name of the profile whose range it is, where several are compared.
  rangeName(from, until) {
    const part = this.source.parts.find((each) => each.from === from && each.until === until);
    return part ? visible(part.name) : "";
  }

  drawFlame(tree) {
    const isEmpty = !tree.number || (!tree.whole && !tree.thenWhole);
    this.none.hidden = !isEmpty;
    this.flame.box.hidden = isEmpty;
    this.none.textContent = this.source.isLive
      ? "No samples match yet. They come a few seconds after they were taken; a filter or the range may leave all of them out."
      : "No samples match. A filter or the range leaves all of them out.";
    this.flame.show(tree, this.state.get("zoom"));
  }

  drawTop(top) {
    const thenWhole = top.rows.length && this.state.get("base_until") ? top.then_total : null;
    const pick = (amount) => (this.hasValues ? amount.value : amount.samples);
    const matcher = this.matcher();
    top.rows.forEach((row) => { row.isMatch = Boolean(matcher && (matcher(row.frame.name) || matcher(row.frame.module))); });
    const rows = matcher ? top.rows.filter((row) => row.isMatch) : top.rows;
    const columns = topColumns(top, this.unit, this.hasValues, thenWhole ? pick(thenWhole) : 0, (row) => this.chooseRow(row));
    this.topNote.textContent = top.left_out ? `${top.left_out} rows with little use are left out` : "";
    this.top.show(rows, columns);
  }

  chooseRow(row) {
    const by = this.state.get("top");
    if (by === "function" || by === "module") this.state.set({ fn: row.frame.name, module: row.frame.module, by, tab: "sandwich" });
    else if (by === "executable") this.state.set({ exe: row.frame.module, tab: "flame", zoom: "" });
    else if (by === "thread") this.state.set({ thread: row.frame.name, tab: "flame", zoom: "" });
    else if (by === "container") this.state.set({ container: row.frame.name, tab: "flame", zoom: "" });
    else this.state.set({ pid: row.frame.name.split(" ")[0], tab: "flame", zoom: "" });
  }

  drawSandwich({ callers, callees }) {
    const tree = new FlameTree(callees);
    const whole = this.hasValues ? this.answers.status.answer.total.value : this.answers.status.answer.total.samples;
    replace(this.sandwichTitle, make("b", {}, visible(this.state.get("fn"))),
      make("span", { class: "quiet" }, ` ${share(tree.whole, whole)} of the range is in it or in what it calls, ${share(tree.number ? tree.own[0] : 0, whole)} in itself`));
    this.callers.show(new FlameTree(callers), "");
    this.callers.upward(true);
    this.callees.show(tree, "");
  }

  drawNoSandwich() {
    replace(this.sandwichTitle, make("span", { class: "quiet" }, "Choose a function: in the top table, or with s over a frame of the flame graph."));
    const none = new FlameTree({ depth: [], frame: [], frames: { name: [], module: [], flags: [] }, samples: [], value: [], own_samples: [], own_value: [] });
    this.callers.show(none, "");
    this.callees.show(none, "");
  }

  // The search as a function of a name; a text that is no regular expression is searched for as it is.
  matcher() {
    const text = this.state.get("search");
    element("search").classList.remove("invalid");
    if (!text) return null;
    try {
      const expression = new RegExp(text, "iu");
      return (name) => expression.test(name);
    } catch {
      element("search").classList.add("invalid");
      const lower = text.toLowerCase();
      return (name) => name.toLowerCase().includes(lower);
    }
  }

  search() {
    const matcher = this.matcher();
    for (const graph of [this.flame, this.callers, this.callees]) graph.search(matcher);
    const { top, processes } = this.answers || {};
    if (top && this.state.get("tab") === "top") this.drawTop(top.answer);
    if (processes && this.state.get("tab") === "processes") this.processes.show(processes.answer, this.unit, this.hasValues, matcher);
    this.showMatched();
  }

  showMatched() {
    const graph = this.state.get("tab") === "sandwich" ? this.callees : this.flame;
    const isShown = this.state.get("search") && ["flame", "sandwich"].includes(this.state.get("tab"));
    element("matched").textContent = isShown ? `matched ${share(graph.matched || 0, 1)}` : "";
  }

  offerDownloads() {
    const query = this.shown ? { ...this.state.query(), from: this.shown.from, until: this.shown.until } : this.state.query();
    delete query.last;
    replace(element("download-links"), ...this.source.downloads.map(([format, label]) => {
      const { href, name } = this.source.download(query, format);
      return make("a", { href, download: name || "" }, label);
    }));
  }
}

const start = async () => {
  const root = document.documentElement;
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { /* As above. */ }
  root.dataset.theme = theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  new Page(await theSource());
};

start();
