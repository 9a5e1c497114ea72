// Use over time: stacked by executable, or as heat below a second. A drag selects.

import { heatColor, isDark, SeriesColors } from "./colors.js";
import { element, fit, make, replace, visible } from "./dom.js";
import { base, clock, duration } from "./format.js";

const MARGIN = { left: 46, right: 8, top: 6, bottom: 18 };

export class TimeLine {
  // `events`: select(from, until, isBaseline), only(executable). `isRelative`: times count from the start.
  constructor(canvas, legend, events) {
    Object.assign(this, { canvas, legend, events, colors: new SeriesColors(), data: null, heat: null, isHeat: false, marks: {}, drag: null, isComparing: false, isRelative: false });
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", () => { this.drag = null; this.draw(); });
    canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  show(data, heat, unit) {
    Object.assign(this, { data, heat, unit });
    if (!this.drag) this.draw();
    this.describe();
  }

  // Ranges that are marked: {now: [from, until], then: [from, until]}.
  mark(marks) {
    this.marks = marks;
    this.draw();
  }

  get span() {
    if (this.isHeat && this.heat) {
      const seconds = this.heat.cells.length / this.heat.rows;
      return [this.heat.from, this.heat.from + seconds * 1000];
    }
    return this.data ? [this.data.from, this.data.from + this.data.step * this.data.steps] : [0, 1];
  }

  x(time) {
    const [from, until] = this.span;
    return MARGIN.left + (time - from) / (until - from || 1) * this.inner;
  }

  time(x) {
    const [from, until] = this.span;
    const time = from + (x - MARGIN.left) / this.inner * (until - from);
    return Math.min(until, Math.max(from, time));
  }

  draw() {
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (!width || !this.data) return;
    const context = fit(this.canvas, width, height);
    context.clearRect(0, 0, width, height);
    this.inner = width - MARGIN.left - MARGIN.right;
    this.below = height - MARGIN.bottom;
    context.font = '11px system-ui, "DejaVu Sans", sans-serif';
    if (this.isHeat && this.heat) this.drawHeat(context);
    else this.drawLines(context);
    this.drawAxis(context);
    this.drawMarks(context);
  }

  drawLines(context) {
    const { series, steps, step, lost } = this.data;
    const sums = new Float64Array(steps);
    for (const { values } of series) values.forEach((value, at) => { sums[at] += value; });
    let most = 0;
    for (const sum of sums) most = Math.max(most, sum);
    const tall = this.below - MARGIN.top;
    const bar = this.inner / steps;
    const bottoms = new Float64Array(steps);
    for (const { name, values } of series) {
      context.fillStyle = this.colors.of(name);
      for (let at = 0; at < steps; at += 1) {
        if (!values[at]) continue;
        const size = values[at] / most * tall;
        context.fillRect(MARGIN.left + at * bar, this.below - bottoms[at] - size, Math.max(0.6, bar - (bar > 4 ? 1 : 0)), size + 0.3);
        bottoms[at] += size;
      }
    }
    // Losses are marked on top of whatever there is.
    context.fillStyle = isDark() ? "#ff6b60" : "#c4201a";
    lost.forEach((count, at) => { if (count) context.fillRect(MARGIN.left + at * bar, MARGIN.top - 4, Math.max(2, bar), 4); });
    context.fillStyle = isDark() ? "#a3acba" : "#565e6d";
    context.textAlign = "right";
    const label = this.unit === "nanoseconds" ? `${(most / (step * 1e6) * 100).toFixed(0)} %` : most.toLocaleString("en-US");
    context.fillText(label, MARGIN.left - 6, MARGIN.top + 8);
    context.fillText("0", MARGIN.left - 6, this.below);
  }

  drawHeat(context) {
    const { cells, rows } = this.heat;
    const columns = cells.length / rows;
    let most = 1;
    for (const cell of cells) most = Math.max(most, cell);
    const [w, h] = [this.inner / columns, (this.below - MARGIN.top) / rows];
    for (let at = 0; at < cells.length; at += 1) {
      context.fillStyle = heatColor(cells[at] / most);
      context.fillRect(MARGIN.left + Math.floor(at / rows) * w, MARGIN.top + (at % rows) * h, w + 0.4, h + 0.4);
    }
    context.fillStyle = isDark() ? "#a3acba" : "#565e6d";
    context.textAlign = "right";
    context.fillText("0 ms", MARGIN.left - 6, MARGIN.top + 8);
    context.fillText("1 s", MARGIN.left - 6, this.below);
  }

  drawAxis(context) {
    const [from, until] = this.span;
    const marks = Math.max(2, Math.floor(this.inner / 110));
    context.fillStyle = isDark() ? "#a3acba" : "#565e6d";
    for (let at = 0; at <= marks; at += 1) {
      const time = from + (until - from) * at / marks;
      context.textAlign = at === 0 ? "left" : (at === marks ? "right" : "center");
      context.fillText(this.isRelative ? duration(time - from) : clock(time), this.x(time), this.below + 13);
    }
    context.fillRect(MARGIN.left, this.below, this.inner, 1);
  }

  drawMarks(context) {
    const draw = (range, color, text) => {
      if (!range) return;
      const [a, b] = [this.x(range[0]), this.x(range[1])];
      const [left, right] = [Math.max(MARGIN.left, Math.min(a, b)), Math.min(MARGIN.left + this.inner, Math.max(a, b))];
      if (right <= left) return;
      context.globalAlpha = 0.2;
      context.fillStyle = color;
      context.fillRect(left, MARGIN.top, right - left, this.below - MARGIN.top);
      context.globalAlpha = 1;
      context.strokeStyle = color;
      context.lineWidth = 1.5;
      context.strokeRect(left + 0.5, MARGIN.top, Math.max(1, right - left - 1), this.below - MARGIN.top);
      context.fillStyle = color;
      context.textAlign = "left";
      if (text && right - left > 40) context.fillText(text, left + 4, MARGIN.top + 12);
    };
    const isCompared = Boolean(this.marks.then);
    draw(this.marks.now, isDark() ? "#ffb39d" : "#b8391a", isCompared ? "these" : "");
    draw(this.marks.then, isDark() ? "#9cc4ff" : "#1d5fd0", "those");
    if (this.drag) draw([this.drag.from, this.drag.until], isDark() ? "#ffffff" : "#000000", "");
  }

  describe() {
    if (!this.data) return;
    const entries = this.data.series.map(({ name, values }) => {
      const sum = values.reduce((all, value) => all + value, 0);
      const swatch = make("i", {});
      swatch.style.background = this.colors.of(name);
      const isOne = !name.startsWith("other (");
      return [sum, make(isOne ? "button" : "span", isOne ? { type: "button", title: `Only ${visible(name)}`, onclick: () => this.events.only(name) } : {}, swatch, visible(base(name)))];
    });
    const whole = entries.reduce((all, [sum]) => all + sum, 0);
    entries.forEach(([sum, entry]) => entry.append(` ${whole ? (100 * sum / whole).toFixed(0) : 0} %`));
    const focused = document.activeElement && this.legend.contains(document.activeElement);
    if (!focused) replace(this.legend, ...entries.map(([, entry]) => entry));
    const [from, until] = this.span;
    this.canvas.setAttribute("aria-label", `CPU use from ${clock(from)} to ${clock(until)}: ${entries.map(([, entry]) => entry.textContent).join(", ")}`);
  }

  down(event) {
    if (event.button !== 0 || !this.data) return;
    this.canvas.setPointerCapture(event.pointerId);
    const time = this.time(event.offsetX);
    this.drag = { from: time, until: time, isBaseline: event.shiftKey || this.isComparing };
  }

  move(event) {
    if (!this.drag) return;
    this.drag.until = this.time(event.offsetX);
    this.draw();
  }

  up() {
    const drag = this.drag;
    this.drag = null;
    if (!drag) return;
    this.finish(Math.min(drag.from, drag.until), Math.max(drag.from, drag.until), drag.isBaseline);
  }

  // Whole steps, at least one: a second or more of the lines, a fiftieth of a second of the heat.
  finish(from, until, isBaseline) {
    const [first, last] = this.span;
    const step = this.isHeat ? 20 : Math.max(1000, this.data.step);
    from = first + Math.floor((from - first) / step) * step;
    until = Math.min(last, Math.max(from + step, first + Math.ceil((until - first) / step) * step));
    this.events.select(Math.round(from), Math.round(until), isBaseline);
  }

  // Arrows move the range by a step, with shift its end.
  key(event) {
    const sign = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!sign || !this.data) return;
    event.preventDefault();
    const [first, last] = this.span;
    const step = Math.max(1000, this.data.step) * sign;
    const [from, until] = this.marks.now || [last - 10000, last];
    const moved = event.shiftKey ? [from, until + step] : [from + step, until + step];
    if (moved[0] < first || moved[1] > last || moved[1] <= moved[0]) return;
    this.finish(moved[0], moved[1], false);
  }
}

export const theTimeLine = (events) => new TimeLine(element("timeline"), element("legend"), events);
