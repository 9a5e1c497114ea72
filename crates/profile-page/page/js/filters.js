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

export class Filters {
  constructor(state) {
    this.state = state;
    this.selects = new Map();
    const choices = Object.entries(CHOICES).map(([key, [label, options]]) => this.choice(key, label, options));
    this.executables = make("datalist", { id: "executables" });
    this.threads = make("datalist", { id: "threads" });
    replace(element("filter-row"), ...choices,
      this.text("exe", "Executable", { list: "executables" }), this.text("thread", "Thread", { list: "threads" }),
      this.text("container", "Container", {}), this.text("cpu", "CPU", { type: "number", min: "0", max: "65535" }),
      this.rules(), this.executables, this.threads);
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

  // What can be chosen from.
  offer(executables, threads) {
    replace(this.executables, ...executables.map((value) => make("option", { value })));
    replace(this.threads, ...threads.map((value) => make("option", { value })));
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
      const value = key === "exe" ? base(state.get(key)) : state.get(key).split(":")[0];
      return chip(`${label}: ${visible(value)}`, () => state.set({ [key]: "" }));
    });
    for (const key of ["hide", "fold"]) {
      for (const rule of state.get(key)) chips.push(chip(`${key === "hide" ? "left out" : "folded"}: ${visible(rule.replace(/^text:/, ""))}`, () => this.setRule(rule, "")));
    }
    if (state.get("base_until")) chips.push(chip("compared with another range", () => state.set({ base_from: 0, base_until: 0 })));
    replace(element("chips"), ...chips);
  }
}
