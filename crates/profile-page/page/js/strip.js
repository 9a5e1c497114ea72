// What is missing and what is held: always in sight.

import { element, make, replace, visible } from "./dom.js";
import { bytes, clock, count, duration, share } from "./format.js";

const item = (label, value, kind, title) => make("span", { class: kind || "", title }, `${label} `, make("b", {}, value));

export const showStrip = (status, agent) => {
  const lost = status.lost.filter(({ samples }) => samples).reduce((sum, { count: each }) => sum + each, 0);
  const others = status.lost.filter(({ samples }) => !samples);
  const all = status.total.samples + lost;
  const reasons = status.lost.filter(({ samples }) => samples).map(({ reason, count: each }) => `${reason} ${count(each)}`).join(", ");
  const lostKind = lost > all / 100 ? "bad" : (lost ? "warn" : "");
  const part = (number) => (status.total.samples ? number / status.total.samples : 0);
  const items = [
    item("Samples", count(status.total.samples)),
    item("Lost", lost ? `${count(lost)} (${share(lost, all)})` : "0", lostKind, "Samples that are known to be missing from this range, by reason"),
  ];
  if (reasons) items.push(item("because", visible(reasons), lostKind));
  if (others.length) items.push(item("Facts lost", visible(others.map(({ reason, count: each }) => `${reason} ${count(each)}`).join(", ")), "warn"));
  items.push(
    item("Cut stacks", share(status.truncated, status.total.samples), part(status.truncated) > 0.1 ? "warn" : "", "Stacks that lack their outer frames: under [truncated]"),
    item("No name", share(status.unnamed, status.total.samples), part(status.unnamed) > 0.25 ? "warn" : "", "Samples whose innermost frame has no name"),
  );
  if (agent) {
    if (agent.lag_ms !== null) items.push(item("Behind", `${(agent.lag_ms / 1000).toFixed(1)} s`, agent.lag_ms > 15000 ? "bad" : (agent.lag_ms > 5000 ? "warn" : ""), "How far the newest complete data is behind now"));
    items.push(
      item("Agent", `${agent.cpu_percent.toFixed(1)} % CPU, ${bytes(agent.memory_bytes)}`, "", "What the agent itself costs"),
      item("Held", `the last ${duration(status.held_until - status.held_from)} of ${duration(status.retention)}, since ${clock(status.held_from)}, in ${bytes(status.bytes)} of ${bytes(status.max_bytes)}`, status.short ? "warn" : "",
        status.short ? "Memory is full: older samples than these were dropped before their time" : `Older samples than ${duration(status.retention)} are dropped`),
    );
    if (status.dropped) items.push(item("Memory full:", `${count(status.dropped)} samples went before their time`, "warn", "Samples that were dropped to stay within max_memory, since the agent started"));
  }
  const strip = element("strip");
  strip.className = `strip ${lostKind}`;
  replace(strip, ...items);
};
