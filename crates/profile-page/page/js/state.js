// What is looked at: all of it is in the part of the address after #, so that a view can be shared and comes back.

const DEFAULTS = {
  from: 0, until: 0, last: 60, base_from: 0, base_until: 0,
  exe: "", pid: "", ancestor: "", thread: "", container: "", cpu: "", mode: "any", kind: "cpu",
  group: "executable", hide: [], fold: [], by: "function",
  tab: "flame", direction: "icicle", line: "lines", top: "function", search: "", zoom: "", fn: "", module: "", live: true,
};

// Keys that an answer of the server depends on.
const ASKED = ["base_from", "base_until", "exe", "pid", "ancestor", "thread", "container", "cpu", "mode", "kind", "group", "hide", "fold", "by"];

export class State {
  constructor() {
    this.listeners = [];
    this.values = { ...DEFAULTS };
    this.read();
    window.addEventListener("hashchange", () => {
      if (this.text() === location.hash.slice(1)) return;
      this.read();
      this.listeners.forEach((listener) => listener(Object.keys(DEFAULTS)));
    });
  }

  read() {
    const given = new URLSearchParams(location.hash.slice(1));
    this.values = { ...DEFAULTS };
    for (const [key, standard] of Object.entries(DEFAULTS)) {
      if (!given.has(key)) continue;
      const text = given.get(key);
      if (typeof standard === "number") this.values[key] = Number(text) || 0;
      else if (typeof standard === "boolean") this.values[key] = text === "true";
      else if (Array.isArray(standard)) this.values[key] = text.split(",").filter(Boolean).map(decodeURIComponent);
      else this.values[key] = text;
    }
    // A range that is named does not move.
    if (this.values.until) this.values.live = false;
  }

  text() {
    const shown = new URLSearchParams();
    for (const [key, standard] of Object.entries(DEFAULTS)) {
      const value = this.values[key];
      if (Array.isArray(standard)) {
        if (value.length) shown.set(key, value.map(encodeURIComponent).join(","));
      } else if (value !== standard) shown.set(key, String(value));
    }
    return shown.toString();
  }

  get(key) { return this.values[key]; }

  // Changes values, and calls the listeners with the keys that have changed.
  set(changes) {
    const changed = Object.keys(changes).filter((key) => JSON.stringify(this.values[key]) !== JSON.stringify(changes[key]));
    if (!changed.length) return;
    Object.assign(this.values, changes);
    history.replaceState(null, "", `#${this.text()}`);
    this.listeners.forEach((listener) => listener(changed));
  }

  onChange(listener) { this.listeners.push(listener); }

  // What a source is asked for: what is looked at, or `range` instead of its range.
  query(range) {
    const query = {};
    for (const key of ASKED) {
      const value = this.values[key];
      if (Array.isArray(value) ? value.length : value && value !== DEFAULTS[key]) query[key] = value;
    }
    query.group = this.values.group;
    // A profile without instants begins at 0.
    if (query.base_until) query.base_from = this.values.base_from;
    if (range) {
      Object.assign(query, range);
      delete query.base_from;
      delete query.base_until;
    } else if (this.values.until) {
      query.from = this.values.from;
      query.until = this.values.until;
    } else if (this.values.last) query.last = this.values.last;
    return query;
  }
}
