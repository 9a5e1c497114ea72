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

// Characters that turn or hide text are shown as what they are.
export const visible = (text) => text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
  (character) => `\\u{${character.codePointAt(0).toString(16)}}`);

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
