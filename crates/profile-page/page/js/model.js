// Answers from tables inside the page: what crates/profile-store answers, in the same form.

import { KERNEL } from "./colors.js";
import { folded } from "./dom.js";
import { base } from "./format.js";
import { growTree, ModelFrames } from "./model_tree.js";

const TICK = 20;
const TICKS_PER_SECOND = 50;
const PARTS = 1000;
const MOST_STEPS = 900;
const MOST_SERIES = 8;
const MOST_COLUMNS = 300;
const MOST_ANCESTORS = 64;

const nothing = () => ({ samples: 0, value: 0 });
const addTo = (sum, samples, value) => { sum.samples += samples; sum.value += value; };
const isSmall = (part, whole) => (whole.value > 0 ? part.value * PARTS < whole.value || !part.value : part.samples * PARTS < whole.samples || !part.samples);

export class ModelSource {
  constructor(model) {
    this.model = model;
    this.isLive = false;
    // Two profiles to be compared: {from, until, name}; none if there is only one.
    this.parts = model.parts;
    this.downloads = [["folded", "Folded stacks"]];
    let tick = model.from;
    this.ticks = model.ticks.map((step) => { tick += step; return tick; });
    this.frames = new ModelFrames(model);
  }

  text(number) { return this.model.texts[number] ?? ""; }

  millis(tick) { return this.model.epoch + tick * TICK; }

  // The span of a query, in steps.
  span(query) {
    const { model } = this;
    if (!query.until) return [model.from, model.until];
    const tick = (time) => Math.floor((time - model.epoch) / TICK);
    return [Math.max(model.from, tick(query.from)), Math.min(model.until, tick(query.until))];
  }

  baseline(query) {
    if (!query.base_until) return null;
    return this.span({ from: query.base_from, until: query.base_until });
  }

  wrap(query, answer) {
    const [from, until] = this.span(query);
    return { from: this.millis(from), until: this.millis(until), answer };
  }

  isProcess(at, wanted) {
    const [pid, start] = String(wanted).split(":");
    const process = this.model.processes[at];
    return process && String(process[0]) === pid && (!start || process[1] === start);
  }

  descends(at, wanted) {
    for (let steps = 0; steps < MOST_ANCESTORS && this.model.processes[at]; steps += 1) {
      if (this.isProcess(at, wanted)) return true;
      at = this.model.processes[at][3] - 1;
    }
    return false;
  }

  // The name of a thread's group.
  group(task, grouping) {
    const [process, executable, , thread, container] = task;
    switch (grouping) {
      case "executable": return this.text(executable);
      case "thread": return this.text(thread);
      case "process": return `${this.model.processes[process][0]} ${base(this.text(executable))}`;
      case "container": return container ? this.text(container) : "(no container)";
      default: return "";
    }
  }

  // The groups of the threads that a query lets through; null for others.
  allowed(query, grouping) {
    return this.model.tasks.map((task) => {
      const [process, executable, , thread, container] = task;
      const path = this.text(executable);
      const isIn = (!query.exe || query.exe === path || query.exe === base(path))
        && (!query.thread || query.thread === this.text(thread))
        && (!query.container || query.container === this.text(container))
        && (!query.pid || this.isProcess(process, query.pid))
        && (!query.ancestor || this.descends(process, query.ancestor));
      return isIn ? this.group(task, grouping) : null;
    });
  }

  // Calls each(group, sample number, samples, value, isNow, isThen) for every sample that is asked for.
  scan(query, grouping, each) {
    const { model, ticks } = this;
    const [from, until] = this.span(query);
    const then = this.baseline(query);
    const groups = this.allowed(query, grouping);
    const kind = query.kind === "off" ? 1 : 0;
    const cpu = query.cpu === undefined || query.cpu === "" ? -1 : Number(query.cpu);
    for (let at = 0; at < ticks.length; at += 1) {
      const tick = ticks[at];
      const isNow = tick >= from && tick < until;
      const isThen = then !== null && tick >= then[0] && tick < then[1];
      if (!isNow && !isThen) continue;
      const group = groups[model.sample_tasks[at]];
      const weight = model.weights[model.sample_weights[at]];
      if (group === null || group === undefined || weight[0] !== kind) continue;
      if (cpu >= 0 && model.sample_cpus[at] !== cpu) continue;
      if (query.mode === "user" || query.mode === "kernel") {
        const stack = model.sample_stacks[at];
        const isKernel = stack !== 0 && Boolean(model.frames[model.stacks[stack][1]][6] & KERNEL);
        if (isKernel !== (query.mode === "kernel")) continue;
      }
      each(group, at, weight[2], weight[3], isNow, isThen);
    }
  }

  // The roots of trees of stacks by group: nodes {shown, own, total, thenOwn, thenTotal, children}.
  views(query, grouping) {
    const shown = this.frames.shown(query);
    const sums = new Map();
    this.scan(query, grouping, (group, at, samples, value, isNow, isThen) => {
      if (!sums.has(group)) sums.set(group, new Map());
      const stacks = sums.get(group);
      const stack = this.model.sample_stacks[at];
      if (!stacks.has(stack)) stacks.set(stack, { own: nothing(), then: nothing() });
      if (isNow) addTo(stacks.get(stack).own, samples, value);
      if (isThen) addTo(stacks.get(stack).then, samples, value);
    });
    return [...sums].map(([group, stacks]) => ({ group, root: this.view(stacks, shown) }));
  }

  view(stacks, shown) {
    const nodes = new Map();
    const node = (stack) => {
      let known = nodes.get(stack);
      if (known) return known;
      const [parent, frame] = this.model.stacks[stack];
      known = { shown: stack === 0 ? -1 : shown[frame], own: nothing(), thenOwn: nothing(), total: nothing(), thenTotal: nothing(), children: [], parent: null };
      nodes.set(stack, known);
      if (stack !== 0) {
        known.parent = node(parent);
        known.parent.children.push(known);
      }
      return known;
    };
    const root = node(0);
    for (const [stack, { own, then }] of stacks) {
      const leaf = node(stack);
      addTo(leaf.own, own.samples, own.value);
      addTo(leaf.thenOwn, then.samples, then.value);
      for (let at = leaf; at; at = at.parent) {
        addTo(at.total, own.samples, own.value);
        addTo(at.thenTotal, then.samples, then.value);
      }
    }
    return root;
  }

  async tree(query) {
    const grouping = query.group || "executable";
    const views = this.views(query, grouping);
    const groups = grouping === "none" ? null : views.map(({ group, root }) => ({ frame: this.frames.summary(base(group), group), nodes: [root] }));
    return this.wrap(query, growTree(this.frames, views.map(({ root }) => root), "all", groups, Boolean(query.base_until)));
  }

  async sandwich(query, name, module) {
    const views = this.views(query, "none");
    const isMeant = (shown) => shown >= 0 && this.frames.view(shown).name === name && (!module || this.frames.view(shown).module === module);
    const found = [];
    const look = views.map(({ root }) => root);
    while (look.length) {
      const node = look.pop();
      if (isMeant(node.shown)) found.push(node);
      else look.push(...node.children);
    }
    const isDiff = Boolean(query.base_until);
    return this.wrap(query, { callers: growTree(this.frames, [this.inverted(found)], name, null, isDiff), callees: growTree(this.frames, found, name, null, isDiff) });
  }

  // The callers of nodes as a tree that begins with them.
  inverted(found) {
    const make = (shown) => ({ shown, own: nothing(), thenOwn: nothing(), total: nothing(), thenTotal: nothing(), children: [], byFrame: new Map() });
    const root = make(-1);
    for (const start of found) {
      const { total, thenTotal } = start;
      const add = (sum, then) => { addTo(sum, total.samples, total.value); addTo(then, thenTotal.samples, thenTotal.value); };
      add(root.total, root.thenTotal);
      let place = root;
      for (let at = start.parent; at; at = at.parent) {
        if (at.shown < 0) continue;
        if (!place.byFrame.has(at.shown)) {
          place.byFrame.set(at.shown, make(at.shown));
          place.children.push(place.byFrame.get(at.shown));
        }
        place = place.byFrame.get(at.shown);
        add(place.total, place.thenTotal);
      }
      add(place.own, place.thenOwn);
    }
    return root;
  }

  async top(query, rows) {
    const isFrames = rows === "function" || rows === "module";
    const sums = isFrames ? this.topFrames({ ...query, by: rows }) : this.topGroups(query, rows);
    const all = [...sums.values()];
    const total = nothing();
    const then = nothing();
    this.scan(query, "none", (group, at, samples, value, isNow, isThen) => {
      if (isNow) addTo(total, samples, value);
      if (isThen) addTo(then, samples, value);
    });
    all.sort((a, b) => b.own.value - a.own.value || b.own.samples - a.own.samples);
    return this.wrap(query, { total, then_total: then, rows: all.slice(0, 1000), left_out: Math.max(0, all.length - 1000) });
  }

  topGroups(query, grouping) {
    const sums = new Map();
    this.scan(query, grouping, (group, at, samples, value, isNow, isThen) => {
      if (!sums.has(group)) sums.set(group, this.row(this.frames.view(this.frames.summary(grouping === "executable" ? base(group) : group, group))));
      const row = sums.get(group);
      if (isNow) { addTo(row.own, samples, value); addTo(row.total, samples, value); }
      if (isThen) { addTo(row.then_own, samples, value); addTo(row.then_total, samples, value); }
    });
    return sums;
  }

  row(frame) { return { frame, own: nothing(), total: nothing(), then_own: nothing(), then_total: nothing() }; }

  topFrames(query) {
    const sums = new Map();
    const row = (shown) => {
      if (!sums.has(shown)) sums.set(shown, this.row(this.frames.view(shown)));
      return sums.get(shown);
    };
    const onPath = new Map();
    const walk = (node, above) => {
      const isShown = node.shown >= 0;
      const frame = isShown ? node.shown : above;
      if (frame >= 0) {
        addTo(row(frame).own, node.own.samples, node.own.value);
        addTo(row(frame).then_own, node.thenOwn.samples, node.thenOwn.value);
      }
      if (isShown && !onPath.get(frame)) {
        addTo(row(frame).total, node.total.samples, node.total.value);
        addTo(row(frame).then_total, node.thenTotal.samples, node.thenTotal.value);
      }
      if (isShown) onPath.set(frame, (onPath.get(frame) || 0) + 1);
      node.children.forEach((child) => walk(child, frame));
      if (isShown) onPath.set(frame, onPath.get(frame) - 1);
    };
    this.views(query, "none").forEach(({ root }) => walk(root, -1));
    return sums;
  }

  async timeline(query) {
    const [from, until] = this.span(query);
    const step = Math.ceil(Math.max(1, (until - from) / TICKS_PER_SECOND) / MOST_STEPS) * TICKS_PER_SECOND;
    const steps = Math.ceil((until - from) / step);
    const place = (tick) => Math.floor((tick - from) / step);
    const series = new Map();
    const total = nothing();
    this.scan({ ...query, base_until: 0 }, "executable", (group, at, samples, value) => {
      addTo(total, samples, value);
      if (!series.has(group)) series.set(group, new Array(steps).fill(0));
      series.get(group)[place(this.ticks[at])] += value || samples;
    });
    const lost = new Array(steps).fill(0);
    for (const [tick, , isSample, count] of this.model.losses) if (isSample && tick >= from && tick < until) lost[place(tick)] += count;
    const sum = (values) => values.reduce((all, value) => all + value, 0);
    const sorted = [...series].map(([name, values]) => ({ name, values })).sort((a, b) => sum(b.values) - sum(a.values) || (a.name < b.name ? -1 : 1));
    const rest = sorted.splice(MOST_SERIES);
    if (rest.length) sorted.push({ name: `other (${rest.length})`, values: rest[0].values.map((_, at) => sum(rest.map(({ values }) => values[at]))) });
    return this.wrap(query, { from: this.millis(from), step: step * TICK, steps, series: sorted, lost, total });
  }

  async heat(query) {
    const [first, until] = this.span(query);
    const begin = Math.max(first, until - MOST_COLUMNS * TICKS_PER_SECOND);
    const from = begin - begin % TICKS_PER_SECOND;
    const cells = new Array(until - from).fill(0);
    this.scan({ ...query, base_until: 0 }, "none", (group, at, samples) => {
      if (this.ticks[at] >= from) cells[this.ticks[at] - from] += samples;
    });
    return this.wrap(query, { from: this.millis(from), rows: TICKS_PER_SECOND, cells });
  }

  async processes(query) {
    const { model } = this;
    const sums = model.processes.map(([pid, start, executable, parent, gone]) => ({ pid, start, executable: this.text(executable), parent: parent - 1, gone: gone === 2 ? null : gone === 1, own: nothing(), total: nothing(), count: 0, children: [], isUsed: false }));
    const total = nothing();
    this.scan({ ...query, base_until: 0 }, "none", (group, at, samples, value) => {
      addTo(total, samples, value);
      addTo(sums[model.tasks[model.sample_tasks[at]][0]].own, samples, value);
    });
    const sampled = sums.filter(({ own }) => own.samples);
    for (const process of sampled) {
      const path = new Set();
      for (let at = process; at && !path.has(at) && path.size < MOST_ANCESTORS; at = sums[at.parent]) {
        path.add(at);
        addTo(at.total, process.own.samples, process.own.value);
        at.isUsed = true;
      }
    }
    const used = sums.filter(({ isUsed }) => isUsed);
    used.forEach((process) => { const parent = sums[process.parent]; if (parent && parent.isUsed) parent.children.push(process); });
    const rows = [];
    const list = (processes, depth) => {
      const rest = processes.filter((process) => isSmall(process.total, total));
      const kept = processes.filter((process) => !rest.includes(process)).sort((a, b) => b.total.value - a.total.value || b.total.samples - a.total.samples);
      if (rest.length) {
        const sum = nothing();
        rest.forEach((process) => addTo(sum, process.total.samples, process.total.value));
        rows.push({ depth, pid: 0, start: "", executable: `other (${rest.length})`, gone: null, count: rest.length, own: sum, total: sum });
      }
      for (const process of kept) {
        const row = { ...process, depth, children: undefined };
        rows.push(row);
        const before = rows.length;
        list(process.children, depth + 1);
        row.count = 1 + rows.slice(before).filter((below) => below.depth === depth + 1).reduce((all, below) => all + below.count, 0);
      }
    };
    list(used.filter(({ parent }) => !(sums[parent] && sums[parent].isUsed)), 0);
    return this.wrap(query, { rows, sampled: sampled.length, gone: sampled.filter(({ gone }) => gone).length, total });
  }

  async status(query) {
    const { model } = this;
    const [from, until] = this.span(query);
    const total = nothing();
    let [truncated, unnamed] = [0, 0];
    this.scan({ ...query, base_until: 0 }, "none", (group, at, samples, value) => {
      addTo(total, samples, value);
      if (model.weights[model.sample_weights[at]][1]) truncated += samples;
      const stack = model.sample_stacks[at];
      if (stack === 0 || !model.frames[model.stacks[stack][1]][0]) unnamed += samples;
    });
    const lost = new Map();
    for (const [tick, reason, isSample, count] of model.losses) {
      if (tick < from || tick >= until) continue;
      const known = lost.get(reason) || { reason: this.text(reason), samples: Boolean(isSample), count: 0 };
      known.count += count;
      lost.set(reason, known);
    }
    return this.wrap(query, { total, truncated, unnamed, lost: [...lost.values()], unit: model.unit, has_values: total.value > 0 });
  }

  // Folded stacks, as other tools read them.
  download(query) {
    const lines = new Map();
    const shown = this.frames.shown(query);
    this.scan({ ...query, base_until: 0 }, "executable", (group, at, samples) => {
      const names = [];
      for (let stack = this.model.sample_stacks[at]; stack !== 0; stack = this.model.stacks[stack][0]) {
        const frame = shown[this.model.stacks[stack][1]];
        if (frame >= 0) names.push(folded(this.frames.view(frame).name));
      }
      const line = [folded(base(group)), ...names.reverse()].join(";");
      lines.set(line, (lines.get(line) || 0) + samples);
    });
    const text = [...lines].sort().map(([line, count]) => `${line} ${count}\n`).join("");
    return { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), name: "profile.folded" };
  }
}

