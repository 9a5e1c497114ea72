// A tree of frames as columns, laid out: where each node begins and ends, and what it is worth.

export class FlameTree {
  // `byShare`: with a baseline each node is as wide as its share now and its share then together.
  constructor(columns) {
    const { depth, frame } = columns;
    const number = depth.length;
    Object.assign(this, { columns, depth, frame, number, frames: columns.frames });
    this.isDiff = Boolean(columns.then_samples);
    this.hasValues = number > 0 && (columns.value[0] > 0 || (this.isDiff && columns.then_value[0] > 0));
    this.now = this.hasValues ? columns.value : columns.samples;
    this.own = this.hasValues ? columns.own_value : columns.own_samples;
    this.then = this.isDiff ? (this.hasValues ? columns.then_value : columns.then_samples) : null;
    this.thenOwn = this.isDiff ? (this.hasValues ? columns.then_own_value : columns.then_own_samples) : null;
    this.whole = number ? this.now[0] : 0;
    this.thenWhole = this.isDiff ? this.then[0] : 0;
    this.layOut();
  }

  weight(node) {
    if (!this.isDiff) return this.whole ? this.now[node] / this.whole : 0;
    const parts = (this.whole ? this.now[node] / this.whole : 0) + (this.thenWhole ? this.then[node] / this.thenWhole : 0);
    return parts / ((this.whole ? 1 : 0) + (this.thenWhole ? 1 : 0) || 1);
  }

  layOut() {
    this.parent = new Int32Array(this.number).fill(-1);
    this.end = new Int32Array(this.number);
    this.from = new Float64Array(this.number);
    this.until = new Float64Array(this.number);
    this.deepest = 0;
    const path = [];
    const filled = [];
    for (let node = 0; node < this.number; node += 1) {
      const depth = this.depth[node];
      this.deepest = Math.max(this.deepest, depth);
      for (let closed = depth; closed < path.length; closed += 1) this.end[path[closed]] = node;
      path.length = depth;
      filled.length = depth;
      const parent = depth ? path[depth - 1] : -1;
      this.parent[node] = parent;
      this.from[node] = parent < 0 ? 0 : filled[depth - 1];
      this.until[node] = this.from[node] + this.weight(node);
      if (parent >= 0) filled[depth - 1] = this.until[node];
      path.push(node);
      filled.push(this.from[node]);
    }
    for (const node of path) this.end[node] = this.number;
  }

  name(node) { return this.frames.name[this.frame[node]]; }
  module(node) { return this.frames.module[this.frame[node]]; }
  flags(node) { return this.frames.flags[this.frame[node]]; }

  children(node) {
    const found = [];
    for (let at = node + 1; at < this.end[node]; at = this.end[at]) found.push(at);
    return found;
  }

  // How much more it is than before: in parts of what it was, -1 to 1.
  change(node) {
    if (!this.isDiff) return 0;
    const now = this.whole ? this.now[node] / this.whole : 0;
    const then = this.thenWhole ? this.then[node] / this.thenWhole : 0;
    return now + then ? (now - then) / Math.max(now, then) : 0;
  }
}
