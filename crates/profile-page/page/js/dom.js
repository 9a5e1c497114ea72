// Elements. Text from a profile is hostile: it becomes text and nothing else.

export const element = (id) => document.getElementById(id);

// make("button", { class: "x", type: "button" }, "text", child...)
export const make = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(key, value);
  }
  for (const child of children) made.append(child);
  return made;
};

export const replace = (parent, ...children) => parent.replaceChildren(...children);

export const press = (button, is) => button.setAttribute("aria-pressed", String(is));

// Characters that a terminal or a browser does not show as themselves: those of textline::is_unseen.
const UNSEEN = /[\u{0}-\u{1f}\u{7f}-\u{9f}\u{ad}\u{34f}\u{61c}\u{115f}-\u{1160}\u{17b4}-\u{17b5}\u{180b}-\u{180f}\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{206f}\u{3164}\u{fe00}-\u{fe0f}\u{feff}\u{ffa0}\u{fff0}-\u{fffb}\u{13430}-\u{1343f}\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;

// Characters that turn or hide text are shown as what they are.
export const visible = (text) => text.replace(UNSEEN, (character) => `\\u{${character.codePointAt(0).toString(16)}}`);

// A name in a line of folded stacks, as crates/profile-formats/src/escape.rs writes it.
export const folded = (name) => {
  const short = (character) => `\\x${character.codePointAt(0).toString(16).padStart(2, "0")}`;
  const text = name.replace(/[;\\]/g, short);
  return text.replace(UNSEEN, (character) => (character < "\u0080" ? short(character) : visible(character)));
};

// A canvas with as many dots as its place on the screen has.
export const fit = (canvas, width, height) => {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
};
