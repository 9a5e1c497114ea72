// Filters: whose samples, and which frames.

import { element, make, replace, visible } from "./dom.js";
import { base } from "./format.js";

const CHOICES = {
  kind: ["Time", [["cpu", "on CPU"], ["off", "off CPU"]]],
  mode: ["Code", [["any", "user and kernel"], ["user", "user"], ["kernel", "kernel"]]],
  group: ["Group by", [["executable", "executable"], ["process", "process"], ["thread", "thread"], ["container", "container"], ["none", "nothing"]]],
  by: ["Frames", [["function", "functions"], ["module", "modules"]]],
};

const RULES = [["inlines", "Inlined functions"], ["libraries", "Libraries"], ["runtime", "Run time of languages"], ["kernel", "Kernel"]];

const CHIPS = { exe: "executable", pid: "process", ancestor: "descends from", thread: "thread", container: "container", cpu: "CPU" };

// Filters by a process.
const PROCESSES = ["pid", "ancestor"];

// Filters by a name, and what the top table calls a row of such names.
const NAMED = { exe: ["Executable", "executable"], thread: ["Thread", "thread"], container: ["Container", "container"] };

export class Filters {
  // `ask`: of a kind of rows, and a query of all times, the names that there are.
  constructor(state, ask) {
    Object.assign(this, { state, ask });
    this.selects = new Map();
    const choices = Object.entries(CHOICES).map(([key, [label, options]]) => this.choice(key, label, options));
    replace(element("filter-row"), ...choices, ...Object.entries(NAMED).map(([key, [label, rows]]) => this.named(key, label, rows)),
      this.text("cpu", "CPU", { type: "number", min: "0", max: "65535" }), this.rules());
  }

  choice(key, label, options) {
    const select = make("select", { onchange: () => this.state.set({ [key]: select.value, zoom: "" }) },
      ...options.map(([value, text]) => make("option", { value }, text)));
    this.selects.set(key, select);
    return make("label", {}, label, select);
  }

  text(key, label, attributes) {
    const input = make("input", { type: "text", spellcheck: "false", autocomplete: "off", ...attributes,
      onchange: () => this.state.set({ [key]: input.value.trim(), zoom: "" }) });
    this.selects.set(key, input);
    return make("label", {}, label, input);
  }

  // A filter by a name that can be chosen from those that there are, which are asked for when somebody is about to.
  named(key, label, rows) {
    const list = make("datalist", { id: `names-${key}` });
    const offer = async () => {
      const query = this.state.query({});
      delete query[key];
      try {
        replace(list, ...(await this.ask(query, rows)).map((value) => make("option", { value })));
      } catch { /* The name can be typed all the same. */ }
    };
    return make("span", {}, this.text(key, label, { list: list.id, onfocus: offer }), list);
  }

  rules() {
    this.ruleSelects = RULES.map(([rule, label]) => {
      const select = make("select", { onchange: () => this.setRule(rule, select.value), "aria-label": label },
        make("option", { value: "" }, "shown"), make("option", { value: "hide" }, "left out"), make("option", { value: "fold" }, "folded"));
      return [rule, select, make("div", { class: "rule" }, label, select)];
    });
    this.ruleText = make("input", { type: "text", placeholder: "name or module contains…", "aria-label": "Frames whose name or module contains this", spellcheck: "false" });
    const add = (as) => () => {
      const text = this.ruleText.value.trim();
      if (text) this.setRule(`text:${text}`, as);
      this.ruleText.value = "";
    };
    return make("details", { class: "menu" }, make("summary", {}, "Frame rules"),
      make("div", { class: "sheet" }, ...this.ruleSelects.map(([, , row]) => row),
        make("div", { class: "rule" }, this.ruleText, make("span", {},
          make("button", { type: "button", onclick: add("hide") }, "Leave out"), make("button", { type: "button", onclick: add("fold") }, "Fold")))));
  }

  setRule(rule, as) {
    const without = (key) => this.state.get(key).filter((other) => other !== rule);
    const [hide, fold] = [without("hide"), without("fold")];
    if (as === "hide") hide.push(rule);
    if (as === "fold") fold.push(rule);
    this.state.set({ hide, fold });
  }

  draw() {
    const state = this.state;
    for (const [key, input] of this.selects) if (document.activeElement !== input) input.value = state.get(key);
    for (const [rule, select] of this.ruleSelects) {
      select.value = state.get("hide").includes(rule) ? "hide" : (state.get("fold").includes(rule) ? "fold" : "");
    }
    const chip = (label, remove) => make("span", { class: "chip" }, label,
      make("button", { type: "button", "aria-label": `Remove ${label}`, onclick: remove }, "×"));
    const chips = Object.entries(CHIPS).filter(([key]) => state.get(key)).map(([key, label]) => {
      // A process is its pid and its start; other names may have a colon of their own.
      const value = key === "exe" ? base(state.get(key)) : PROCESSES.includes(key) ? state.get(key).split(":")[0] : state.get(key);
      return chip(`${label}: ${visible(value)}`, () => state.set({ [key]: "" }));
    });
    for (const key of ["hide", "fold"]) {
      for (const rule of state.get(key)) chips.push(chip(`${key === "hide" ? "left out" : "folded"}: ${visible(rule.replace(/^text:/, ""))}`, () => this.setRule(rule, "")));
    }
    if (state.get("base_until")) chips.push(chip("compared with another range", () => state.set({ base_from: 0, base_until: 0 })));
    replace(element("chips"), ...chips);
  }
}
