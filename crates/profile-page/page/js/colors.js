// Colours: by kind of code, a little different for each name, the same each time.

export const hash = (text) => {
  let sum = 2166136261;
  for (let at = 0; at < text.length; at += 1) {
    sum ^= text.charCodeAt(at);
    sum = Math.imul(sum, 16777619);
  }
  return sum >>> 0;
};

export const KERNEL = 1;
export const INLINE = 2;
export const PROGRAM = 4;
export const SUMMARY = 8;

export const isDark = () => document.documentElement.dataset.theme === "dark";

// The colour of a frame: kernel orange, the program yellow, libraries green, interpreted code blue, groups grey.
export const frameColor = (name, module, flags) => {
  const vary = hash(name) % 1000 / 1000;
  const light = isDark() ? 44 + 10 * vary : 70 + 10 * vary;
  if (flags & KERNEL) return `hsl(${14 + 12 * vary} 74% ${light}%)`;
  if (flags & SUMMARY && !module) return `hsl(220 8% ${isDark() ? 36 : 80}%)`;
  if (flags & SUMMARY) return `hsl(${hash(module) % 360} 32% ${isDark() ? 40 : 78}%)`;
  if (module === "[interpreted]") return `hsl(${205 + 20 * vary} 62% ${light}%)`;
  if (module === "[unknown]" || module === "//anon") return `hsl(280 18% ${light}%)`;
  if (flags & INLINE) return `hsl(${64 + 14 * vary} 58% ${light}%)`;
  if (flags & PROGRAM) return `hsl(${40 + 14 * vary} 80% ${light}%)`;
  return `hsl(${120 + 50 * vary} 42% ${light}%)`;
};

// More than before is red, less is blue, as strong as the change is for the part: -1 to 1.
export const changeColor = (change) => {
  const strength = Math.min(1, Math.abs(change));
  const hue = change > 0 ? 6 : 215;
  const light = isDark() ? 30 + 22 * strength : 90 - 30 * strength;
  return `hsl(${hue} ${Math.round(85 * strength)}% ${light}%)`;
};

const HUES = [212, 32, 150, 276, 190, 352, 84, 250, 16, 120, 310, 54];

// The colours of the series of a time line, which stay with their names.
export class SeriesColors {
  constructor() { this.places = new Map(); }

  of(name) {
    if (name.startsWith("other (")) return isDark() ? "hsl(220 8% 45%)" : "hsl(220 8% 70%)";
    if (!this.places.has(name)) this.places.set(name, this.places.size);
    const place = this.places.get(name);
    return `hsl(${HUES[place % HUES.length]} 58% ${(isDark() ? 58 : 48) + (place >= HUES.length ? 12 : 0)}%)`;
  }
}

// Heat from nothing to most.
export const heatColor = (part) => {
  const strength = Math.sqrt(part);
  return isDark()
    ? `hsl(${50 - 45 * strength} ${60 + 35 * strength}% ${14 + 46 * strength}%)`
    : `hsl(${50 - 45 * strength} ${60 + 35 * strength}% ${96 - 48 * strength}%)`;
};
