// Where answers come from: a server, or tables inside the page. Both answer the same questions in the same form.

// Answers of a server. What has not changed is not sent again.
export class ServerSource {
  // `isLive`: more comes; else the page is of a file that does not change.
  constructor(isLive) {
    this.isLive = isLive;
    this.parts = [];
    this.downloads = [["pprof", "pprof (.pb.gz)"], ["folded", "Folded stacks"], ["svg", "SVG flame graph"], ["firefox", "Firefox Profiler"], ["html", "This page as a file"]];
  }

  parameters(query) {
    const parameters = new URLSearchParams();
    for (const [key, value] of Object.entries(query)) {
      parameters.set(key, Array.isArray(value) ? value.map(encodeURIComponent).join(",") : value);
    }
    return parameters;
  }

  async ask(path, query) {
    const answer = await fetch(`api/${path}?${this.parameters(query)}`, { credentials: "same-origin" });
    if (!answer.ok) throw new Error((await answer.text()).trim() || `${answer.status}`);
    return answer.json();
  }

  status(query) { return this.ask("status", query); }
  tree(query) { return this.ask("tree", query); }
  top(query, rows) { return this.ask("top", { ...query, rows }); }
  sandwich(query, name, module) { return this.ask("sandwich", { ...query, function: name, ...(module ? { module } : {}) }); }
  timeline(query) { return this.ask("timeline", query); }
  heat(query) { return this.ask("heat", query); }
  processes(query) { return this.ask("processes", query); }

  download(query, format) { return { href: `api/download?${this.parameters({ ...query, format })}` }; }
}
