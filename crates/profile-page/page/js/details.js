// The frame under the pointer, in full.

import { INLINE, KERNEL } from "./colors.js";
import { element, make, replace, visible } from "./dom.js";
import { count, quantity, share } from "./format.js";

const fact = (label, value) => make("span", {}, `${label} `, make("b", {}, value));

// One line about a node, for those who hear rather than see.
export const spoken = (tree, node) => `${visible(tree.name(node))}: ${share(tree.now[node], tree.whole)} in total, ${share(tree.own[node], tree.whole)} itself`;

export const showDetails = (tree, node, unit, sandwich) => {
  const details = element("details");
  if (!tree || node < 0) {
    replace(details, make("div", { class: "quiet" }, "Point at a frame to see what it is. Click zooms in, Escape zooms out, s shows its callers and callees, ? shows all keys."));
    return;
  }
  const { columns } = tree;
  const frame = tree.frame[node];
  const of = (key) => columns.frames[key][frame];
  const value = (samples, amount) => (tree.hasValues ? `${quantity(amount, unit)}, ${count(samples)} samples` : `${count(samples)} samples`);
  const facts = [
    fact("total", `${share(tree.now[node], tree.whole)} (${value(columns.samples[node], columns.value[node])})`),
    fact("self", `${share(tree.own[node], tree.whole)} (${value(columns.own_samples[node], columns.own_value[node])})`),
  ];
  const parent = tree.parent[node];
  if (parent > 0) facts.push(fact("of its caller", share(tree.now[node], tree.now[parent])));
  if (tree.isDiff) {
    const now = tree.whole ? 100 * tree.now[node] / tree.whole : 0;
    const then = tree.thenWhole ? 100 * tree.then[node] / tree.thenWhole : 0;
    facts.push(fact("before", share(tree.then[node], tree.thenWhole)), fact("change", `${now >= then ? "+" : ""}${(now - then).toFixed(2)} points`));
  }
  if (of("file")) facts.push(fact("source", visible(of("line") ? `${of("file")}:${of("line")}` : of("file"))));
  if (of("module")) facts.push(fact("in", visible(of("module"))));
  if (of("build_id")) facts.push(fact("build ID", visible(of("build_id"))));
  if (of("flags") & KERNEL) facts.push(fact("code", "kernel"));
  if (of("flags") & INLINE) facts.push(fact("code", "inlined"));
  replace(details, make("div", { class: "title" }, visible(tree.name(node)), " ",
    make("button", { type: "button", onclick: () => sandwich(tree, node) }, "Callers and callees")),
  make("div", { class: "facts" }, ...facts));
};
