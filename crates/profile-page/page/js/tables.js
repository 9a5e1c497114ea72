// Tables: who has used most, and the processes.

import { make, replace, visible } from "./dom.js";
import { base, count, quantity, share } from "./format.js";

// A table whose columns sort it: { key, title, of(row), show(row), isName }.
export class SortedTable {
  constructor(caption, columns, sort) {
    Object.assign(this, { columns, sort, isRising: false, rows: [] });
    this.head = make("tr");
    this.body = make("tbody");
    this.box = make("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": caption },
      make("table", {}, make("caption", { class: "hidden" }, caption), make("thead", {}, this.head), this.body));
  }

  show(rows, columns) {
    if (columns) this.columns = columns;
    this.rows = rows;
    this.draw();
  }

  draw() {
    const focused = this.head.contains(document.activeElement) ? document.activeElement.dataset.key : "";
    replace(this.head, ...this.columns.map((column) => {
      const isSorted = column.key === this.sort;
      const mark = isSorted ? (this.isRising ? " ▲" : " ▼") : "";
      const order = isSorted ? (this.isRising ? "ascending" : "descending") : "none";
      return make("th", { class: column.isName ? "name" : "", scope: "col", "aria-sort": order },
        make("button", { type: "button", "data-key": column.key, onclick: () => this.sortBy(column.key) }, `${column.title}${mark}`));
    }));
    if (focused) this.head.querySelector(`[data-key="${focused}"]`)?.focus();
    const column = this.columns.find(({ key }) => key === this.sort) || this.columns[0];
    const sign = this.isRising ? 1 : -1;
    const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
    const sorted = [...this.rows].sort((a, b) => sign * compare(column.of(a), column.of(b)));
    replace(this.body, ...sorted.map((row) => make("tr", { class: row.isMatch ? "match" : "" },
      ...this.columns.map((each) => make("td", { class: each.isName ? "name" : "" }, ...[each.show(row)].flat())))));
  }

  sortBy(key) {
    this.isRising = this.sort === key ? !this.isRising : false;
    this.sort = key;
    this.draw();
  }
}

const bar = (part, whole) => make("meter", { min: "0", max: "1", value: String(whole ? part / whole : 0), "aria-hidden": "true" });

// Columns of the top table. `amount` picks what is shown: value or samples.
export const topColumns = (top, unit, hasValues, thenWhole, choose) => {
  const pick = (amount) => (hasValues ? amount.value : amount.samples);
  const whole = pick(top.total);
  const show = (amount) => (hasValues ? quantity(amount.value, unit) : count(amount.samples));
  const columns = [
    { key: "own", title: "Self", of: (row) => pick(row.own), show: (row) => [bar(pick(row.own), whole), ` ${share(pick(row.own), whole)}`] },
    { key: "own-value", title: hasValues ? "Self value" : "Self samples", of: (row) => pick(row.own), show: (row) => show(row.own) },
    { key: "total", title: "Total", of: (row) => pick(row.total), show: (row) => [bar(pick(row.total), whole), ` ${share(pick(row.total), whole)}`] },
    { key: "samples", title: "Samples", of: (row) => row.total.samples, show: (row) => count(row.total.samples) },
  ];
  if (thenWhole) {
    const change = (row) => 100 * (pick(row.own) / (whole || 1) - pick(row.then_own) / thenWhole);
    columns.push({ key: "change", title: "Self change", of: change, show: (row) => {
      const points = change(row);
      return make("span", { class: points > 0 ? "more" : "less" }, `${points > 0 ? "+" : ""}${points.toFixed(2)} pts`);
    } });
  }
  columns.push({ key: "name", title: "Name", isName: true, of: (row) => row.frame.name, show: (row) => [
    make("button", { type: "button", title: visible(row.frame.name), onclick: () => choose(row) }, visible(row.frame.name) || "(no name)"),
    make("span", { class: "from" }, row.frame.name === row.frame.module ? "" : visible(base(row.frame.module))),
  ] });
  return columns;
};

// The process tree: families can be closed, those that are gone are marked.
export class ProcessTable {
  // `events`: only(process), family(process).
  constructor(events) {
    Object.assign(this, { events, closed: new Set(), data: null });
    this.note = make("div", { class: "quiet graph-title" });
    this.body = make("tbody");
    const head = ["CPU of family", "CPU of its own", "Processes", "Pid", "Process"].map((title, at) => make("th", { scope: "col", class: at === 4 ? "name" : "" }, title));
    this.box = make("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Processes" },
      make("table", {}, make("caption", { class: "hidden" }, "Processes, as a tree"), make("thead", {}, make("tr", {}, ...head)), this.body));
  }

  show(data, unit, hasValues, matcher) {
    Object.assign(this, { data, unit, hasValues, matcher });
    this.draw();
  }

  draw() {
    const { data, hasValues, unit } = this;
    const pick = (amount) => (hasValues ? amount.value : amount.samples);
    const whole = pick(data.total);
    replace(this.note, `${count(data.sampled)} processes were sampled; ${count(data.gone)} of them are gone.`);
    const shown = [];
    let hiddenBelow = -1;
    data.rows.forEach((row, at) => {
      if (hiddenBelow >= 0 && row.depth > hiddenBelow) return;
      hiddenBelow = -1;
      const key = `${row.pid} ${row.start}`;
      const hasChildren = at + 1 < data.rows.length && data.rows[at + 1].depth > row.depth;
      const isClosed = hasChildren && this.closed.has(key);
      if (isClosed) hiddenBelow = row.depth;
      shown.push(this.row(row, key, hasChildren, isClosed, pick, whole, (amount) => (hasValues ? quantity(amount.value, unit) : count(amount.samples))));
    });
    replace(this.body, ...shown);
  }

  row(row, key, hasChildren, isClosed, pick, whole, show) {
    const name = visible(base(row.executable)) || "(not known)";
    const twist = hasChildren
      ? make("button", { type: "button", class: "twist", "aria-expanded": String(!isClosed), "aria-label": `Children of ${name}`, onclick: () => this.toggle(key) }, isClosed ? "▸" : "▾")
      : make("span", { class: "twist" }, "\u2003");
    const indent = "\u2003".repeat(Math.min(row.depth, 20));
    const cell = row.pid || row.start
      ? [indent, twist, make("button", { type: "button", title: visible(row.executable), onclick: () => this.events.only(row) }, name)]
      : [indent, twist, name];
    if (row.gone === true) cell.push(make("span", { class: "mark" }, "gone"));
    if (hasChildren) cell.push(" ", make("button", { type: "button", class: "from", onclick: () => this.events.family(row) }, "with descendants"));
    const isMatch = this.matcher && this.matcher(row.executable);
    return make("tr", { class: `${row.gone ? "gone" : ""} ${isMatch ? "match" : ""}` },
      make("td", {}, bar(pick(row.total), whole), ` ${share(pick(row.total), whole)}`),
      make("td", {}, show(row.own)), make("td", {}, count(row.count)), make("td", {}, row.pid ? String(row.pid) : ""),
      make("td", { class: "name" }, ...cell));
  }

  toggle(key) {
    if (!this.closed.delete(key)) this.closed.add(key);
    this.draw();
  }
}
