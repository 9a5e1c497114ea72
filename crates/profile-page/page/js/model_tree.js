// Frames of tables inside the page, and trees of them without what is too small to be seen.

import { INLINE, KERNEL, PROGRAM, SUMMARY } from "./colors.js";
import { base } from "./format.js";

const SMALLEST = 1000;

// As in crates/profile-store/src/query/rules.rs.
const RUNTIME = [
  "_start", "__libc_start", "start_thread", "clone3", "__clone", "thread_start", "runtime.", "std::rt::", "std::sys::",
  "std::thread::", "std::panicking::", "core::ops::function::", "__rust_", "tokio::runtime::", "_PyEval_", "PyEval_",
  "_PyFunction_", "Interpreter", "call_stub", "JavaCalls::", "Thread::call_run", "v8::internal::",
];

const isFor = (rule, name, module, flags) => {
  switch (rule) {
    case "kernel": return Boolean(flags & KERNEL);
    case "inlines": return Boolean(flags & INLINE);
    case "libraries": return !(flags & KERNEL) && !(flags & PROGRAM) && module !== "";
    case "runtime": return RUNTIME.some((prefix) => name.startsWith(prefix));
    default: {
      const text = rule.replace(/^text:/, "");
      return name.includes(text) || module.includes(text);
    }
  }
};

export class ModelFrames {
  constructor(model) {
    this.model = model;
    this.views = [];
    this.numbers = new Map();
  }

  number(view) {
    const key = JSON.stringify(Object.values(view));
    if (!this.numbers.has(key)) {
      this.numbers.set(key, this.views.length);
      this.views.push(view);
    }
    return this.numbers.get(key);
  }

  view(number) { return this.views[number]; }

  summary(name, module) { return this.number({ name, module, build_id: "", file: "", line: 0, flags: SUMMARY }); }

  // What each frame is shown as: a number, or -1 if it is left out.
  shown(query) {
    const text = (number) => this.model.texts[number] ?? "";
    const list = (rules) => rules || [];
    return this.model.frames.map(([nameAt, moduleAt, build, file, line, address, flags]) => {
      const [name, module] = [text(nameAt), text(moduleAt)];
      if (list(query.hide).some((rule) => isFor(rule, name, module, flags))) return -1;
      if (query.by === "module" || list(query.fold).some((rule) => isFor(rule, name, module, flags))) {
        return this.number({ name: module ? base(module) : name, module, build_id: text(build), file: "", line: 0, flags: (flags & (KERNEL | PROGRAM)) | SUMMARY });
      }
      const label = name || `${module ? base(module) : "[unknown]"}${address ? `+0x${address}` : ""}`;
      return this.number({ name: label, module, build_id: text(build), file: text(file), line, flags });
    });
  }
}

// The tree of these nodes in columns. `groups`: the first level, if it is not that of frames: [{frame, nodes}].
export const growTree = (frames, roots, name, groups, isDiff) => {
  const columns = { frames: { name: [], module: [], build_id: [], file: [], line: [], flags: [] }, depth: [], frame: [], samples: [], value: [], own_samples: [], own_value: [] };
  if (isDiff) Object.assign(columns, { then_samples: [], then_value: [], then_own_samples: [], then_own_value: [] });
  const places = new Map();
  const push = (depth, frame, sums) => {
    if (!places.has(frame)) {
      places.set(frame, columns.frames.name.length);
      for (const key of Object.keys(columns.frames)) columns.frames[key].push(frames.view(frame)[key]);
    }
    columns.depth.push(depth);
    columns.frame.push(places.get(frame));
    columns.samples.push(sums.total.samples);
    columns.value.push(sums.total.value);
    columns.own_samples.push(sums.own.samples);
    columns.own_value.push(sums.own.value);
    if (!isDiff) return;
    columns.then_samples.push(sums.thenTotal.samples);
    columns.then_value.push(sums.thenTotal.value);
    columns.then_own_samples.push(sums.thenOwn.samples);
    columns.then_own_value.push(sums.thenOwn.value);
  };
  const zero = () => ({ samples: 0, value: 0 });
  const empty = () => ({ own: zero(), total: zero(), thenOwn: zero(), thenTotal: zero() });
  const add = (sum, more) => { sum.samples += more.samples; sum.value += more.value; };
  const addTotals = (sums, more) => { add(sums.total, more.total); add(sums.thenTotal, more.thenTotal); };
  const addOwn = (sums, more) => { add(sums.own, more.own); add(sums.thenOwn, more.thenOwn); };
  const whole = empty();
  roots.forEach((node) => addTotals(whole, node));
  const isPart = (part, all) => {
    const [a, b] = all.value > 0 ? [part.value, all.value] : [part.samples, all.samples];
    return a > 0 && a * SMALLEST >= b;
  };
  const isKept = (sums) => isPart(sums.total, whole.total) || isPart(sums.thenTotal, whole.thenTotal);

  // What ends in the nodes, and their children by frame.
  const open = (frame, nodes) => {
    const isSummary = Boolean(frames.view(frame).flags & SUMMARY);
    const own = empty();
    const children = new Map();
    const look = [...nodes];
    while (look.length) {
      const node = look.pop();
      addOwn(own, node);
      for (const child of node.children) {
        if (child.shown < 0 || (isSummary && child.shown === frame)) {
          look.push(child);
          continue;
        }
        if (!children.has(child.shown)) children.set(child.shown, { frame: child.shown, nodes: [], sums: empty() });
        const pending = children.get(child.shown);
        pending.nodes.push(child);
        addTotals(pending.sums, child);
      }
    }
    return [own, [...children.values()]];
  };
  const byName = (a, b) => {
    const [left, right] = [frames.view(a.frame), frames.view(b.frame)];
    if (left.name !== right.name) return left.name < right.name ? -1 : 1;
    if (left.module !== right.module) return left.module < right.module ? -1 : 1;
    return left.line - right.line;
  };
  const grow = (depth, frame, nodes, sums, grouped) => {
    let [own, children] = [empty(), []];
    if (grouped) {
      children = grouped.map((group) => ({ ...group, sums: empty() }));
      children.forEach((child) => child.nodes.forEach((node) => addTotals(child.sums, node)));
    } else [own, children] = open(frame, nodes);
    push(depth, frame, { ...sums, own: own.own, thenOwn: own.thenOwn });
    const rest = children.filter((child) => !isKept(child.sums));
    if (rest.length) {
      const sum = empty();
      rest.forEach((child) => addTotals(sum, child.sums));
      push(depth + 1, frames.summary(`other (${rest.length})`, ""), { ...sum, own: sum.total, thenOwn: sum.thenTotal });
    }
    children.filter((child) => isKept(child.sums)).sort(byName).forEach((child) => grow(depth + 1, child.frame, child.nodes, child.sums, null));
  };
  grow(0, frames.summary(name, ""), roots, whole, groups);
  return columns;
};
