(function () {
  "use strict";
  var WIDTH = 1200, LETTER = 7.2;
  var root = document.documentElement;
  var byId = function (id) { return document.getElementById(id); };
  var frames = Array.prototype.map.call(root.querySelectorAll("g.f"), function (g) {
    var title = g.querySelector("title").textContent;
    return {
      g: g, rect: g.querySelector("rect"), text: g.querySelector("text"), title: title,
      name: title.slice(0, title.lastIndexOf(" — ")),
      x: +g.getAttribute("data-x"), w: +g.getAttribute("data-w"), d: +g.getAttribute("data-d")
    };
  });
  var shown = frames[0], pattern = null;

  function fit(frame, x, width) {
    var letters = Math.floor((width - 6) / LETTER);
    if (letters < 2) {
      if (frame.text) { frame.text.textContent = ""; }
      return;
    }
    if (!frame.text) {
      frame.text = document.createElementNS("http://www.w3.org/2000/svg", "text");
      frame.text.setAttribute("y", +frame.rect.getAttribute("y") + 12);
      frame.g.appendChild(frame.text);
    }
    frame.text.setAttribute("x", x + 3);
    frame.text.textContent =
      frame.name.length <= letters ? frame.name : frame.name.slice(0, letters - 2) + "..";
  }

  function zoom(to) {
    shown = to;
    var slack = 1e-9, end = to.x + to.w;
    frames.forEach(function (frame) {
      var isCaller = frame.d < to.d && frame.x <= to.x + slack && frame.x + frame.w >= end - slack;
      var isInside = frame.d >= to.d && frame.x >= to.x - slack && frame.x + frame.w <= end + slack;
      frame.g.style.display = isCaller || isInside ? "" : "none";
      frame.g.classList.toggle("caller", isCaller);
      if (!isCaller && !isInside) { return; }
      var x = isCaller ? 0 : (frame.x - to.x) / to.w * WIDTH;
      var width = isCaller ? WIDTH : frame.w / to.w * WIDTH;
      frame.rect.setAttribute("x", x);
      frame.rect.setAttribute("width", width);
      fit(frame, x, width);
    });
    byId("reset").textContent = to === frames[0] ? "" : "Reset zoom";
    mark();
  }

  // The share of what is shown that frames which match take; a match within a match counts once.
  function mark() {
    var matches = frames.filter(function (frame) {
      var is = pattern !== null && pattern.test(frame.name);
      frame.g.classList.toggle("match", is);
      return is && frame.g.style.display !== "none";
    });
    if (pattern === null) {
      byId("matched").textContent = "";
      return;
    }
    var from = shown.x, until = shown.x + shown.w, at = from, sum = 0;
    matches.sort(function (a, b) { return a.x - b.x || a.d - b.d; }).forEach(function (frame) {
      var start = Math.max(frame.x, at), end = Math.min(frame.x + frame.w, until);
      if (end > start) { sum += end - start; at = end; }
    });
    byId("matched").textContent = "Matched: " + (sum / shown.w * 100).toFixed(2) + "%";
  }

  function search() {
    var text = window.prompt("Regular expression to search for; empty for none", "");
    if (text === null) { return; }
    try {
      pattern = text === "" ? null : new RegExp(text);
    } catch (error) {
      window.alert("This is no regular expression: " + error.message);
      return;
    }
    mark();
  }

  frames.forEach(function (frame) {
    var say = function () { byId("details").textContent = frame.title; };
    frame.g.addEventListener("click", function () { zoom(frame); });
    frame.g.addEventListener("mouseover", say);
    frame.g.addEventListener("focus", say);
    frame.g.addEventListener("keydown", function (event) {
      if (event.key === "Enter") { zoom(frame); }
    });
  });
  byId("frames").addEventListener("mouseleave", function () { byId("details").textContent = " "; });
  byId("reset").addEventListener("click", function () { zoom(frames[0]); });
  byId("search").addEventListener("click", search);
  window.addEventListener("keydown", function (event) {
    if (event.key === "Escape") {
      pattern = null;
      zoom(frames[0]);
    } else if (event.key === "/" || (event.key === "f" && event.ctrlKey)) {
      event.preventDefault();
      search();
    }
  });
}());
