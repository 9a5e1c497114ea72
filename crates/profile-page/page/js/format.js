// Numbers and times as people read them.

export const share = (part, whole) => {
  if (!whole) return "0 %";
  const percent = 100 * part / whole;
  return `${percent >= 10 ? percent.toFixed(1) : percent.toFixed(2)} %`;
};

export const count = (number) => Math.round(number).toLocaleString("en-US");

export const bytes = (number) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) { number /= 1024; unit += 1; }
  return `${number.toFixed(unit === 0 || number >= 100 ? 0 : 1)} ${units[unit]}`;
};

export const nanos = (number) => {
  if (number < 1e3) return `${number} ns`;
  if (number < 1e6) return `${(number / 1e3).toFixed(1)} µs`;
  if (number < 1e9) return `${(number / 1e6).toFixed(1)} ms`;
  if (number < 600e9) return `${(number / 1e9).toFixed(2)} s`;
  return `${(number / 60e9).toFixed(1)} min`;
};

// A value in the unit of the profile.
export const quantity = (number, unit) => {
  if (unit === "nanoseconds") return nanos(number);
  if (unit === "bytes") return bytes(number);
  return `${count(number)} ${unit}`;
};

const two = (number) => String(number).padStart(2, "0");

export const clock = (millis) => {
  const date = new Date(millis);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
};

export const duration = (millis) => {
  const seconds = Math.round(millis / 1000);
  if (seconds < 120) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min${seconds % 60 ? ` ${seconds % 60} s` : ""}`;
};

export const base = (path) => path.replace(/ \(deleted\)$/, "").split("/").pop() || path;
