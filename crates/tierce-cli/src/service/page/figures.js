// Numbers as people read them, each with its unit.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (number) => whole.format(Math.round(number));

// Three digits or so.
export function decimal(number) {
  if (number >= 99.95 || Number.isInteger(number)) return whole.format(number);
  return number.toFixed(number >= 9.95 ? 1 : 2);
}

export const percent = (share) => `${(share * 100).toFixed(share > 0.9995 || share === 0 ? 0 : 1)} %`;

// From microseconds.
export function time(us) {
  if (us === 0) return "0 ms";
  if (us < 1) return `${Math.round(us * 1e3)} ns`;
  if (us < 1e3) return `${decimal(us)} µs`;
  if (us < 1e6) return `${decimal(us / 1e3)} ms`;
  return us < 6e7 ? `${decimal(us / 1e6)} s` : `${decimal(us / 6e7)} min`;
}

// The same for the marks of an axis, which are round.
export function mark(us) {
  if (us === 0) return "0";
  const [number, unit] = us < 1 ? [us * 1e3, "ns"] : us < 1e3 ? [us, "µs"] : us < 1e6 ? [us / 1e3, "ms"] : [us / 1e6, "s"];
  return `${+number.toPrecision(3)} ${unit}`;
}

export const ms = (number) => time(number * 1e3);

export const rate = (number) => `${decimal(number)}/s`;

// 12,345 as 12k: for axes, where width is dear.
export function short(number) {
  if (number >= 1e6) return `${+(number / 1e6).toPrecision(3)}M`;
  return number >= 1e4 ? `${+(number / 1e3).toPrecision(3)}k` : whole.format(number);
}

// An element with text or children; nothing is ever parsed as HTML.
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
