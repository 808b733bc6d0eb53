// One plot on a canvas: lines over the last minute, an axis with units, a legend that says the numbers.
//
// A canvas, since sixty seconds of lines are then no elements at all: whatever is drawn, the page does not grow. What is
// on it stands in the legend as text too. The pointer, or the arrow keys on a focused plot, choose a moment; every plot
// shows that moment.

import { make } from "/figures.js";

const WINDOW_MS = 60_000;
// More than this between two samples is time in which nobody looked: the line breaks.
const GAP_MS = 1600;
const LEFT = 52, RIGHT = 10, TOP = 18, BOTTOM = 18;
const DASHES = { solid: [], dashed: [5, 4], dotted: [2, 3] };
const plots = [];
let samples = [], events = [], chosen = null, colours = {};

export class Plot {
  constructor(host, spec) {
    this.spec = spec;
    this.canvas = make("canvas", { tabindex: "0", role: "img" });
    const items = spec.series.map((line) => {
      line.value = make("b", {}, "–");
      line.item = make("li", { class: line.colour }, swatch(line.dash), line.label, " ", line.value);
      line.item.hidden = Boolean(line.optional);
      return line.item;
    });
    const title = make("h3", {}, spec.title);
    const caption = make("figcaption", {}, title, make("p", { class: "hint" }, spec.hint));
    host.append(make("figure", { class: "plot", id: `plot-${spec.id}` }, caption, this.canvas, make("ul", { class: "legend" }, ...items)));
    this.pen = this.canvas.getContext("2d");
    this.canvas.addEventListener("pointermove", (event) => choose(this.moment(event.offsetX)));
    this.canvas.addEventListener("pointerleave", () => choose(null));
    this.canvas.addEventListener("blur", () => choose(null));
    this.canvas.addEventListener("keydown", (event) => step(event));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    plots.push(this);
  }

  moment(x) {
    const last = samples.at(-1);
    if (!last) return null;
    const width = this.canvas.clientWidth - LEFT - RIGHT;
    const wanted = last.at_ms - WINDOW_MS * (1 - (x - LEFT) / width);
    return samples.reduce((near, one) => (Math.abs(one.at_ms - wanted) < Math.abs(near.at_ms - wanted) ? one : near)).at_ms;
  }

  draw() {
    const { pen, canvas, spec } = this;
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = "11px system-ui, 'DejaVu Sans', sans-serif";
    const end = samples.at(-1)?.at_ms ?? 0;
    const at = (ms) => LEFT + (width - LEFT - RIGHT) * (1 - (end - ms) / WINDOW_MS);
    const axis = spec.log ? logarithmic(spec) : linear(spec);
    const up = (value) => TOP + (height - TOP - BOTTOM) * (1 - axis.place(value));
    this.troubles(at, height);
    this.grid(axis, up, at, end, width, height);
    const left = at(end - WINDOW_MS);
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, width - RIGHT - left + 1, height);
    pen.clip();
    for (const line of spec.series) this.line(line, at, up, axis);
    pen.restore();
    this.moments(at, height, left);
    this.say(width, height);
  }

  grid(axis, up, at, end, width, height) {
    const { pen } = this;
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const mark of axis.marks) {
      const y = Math.round(up(mark)) + 0.5;
      pen.strokeStyle = colours.grid;
      stroke(pen, [[LEFT, y], [width - RIGHT, y]]);
      pen.fillStyle = colours.faint;
      pen.fillText(this.spec.axis(mark), LEFT - 6, y);
    }
    pen.textBaseline = "alphabetic";
    for (const back of [60, 45, 30, 15, 0]) {
      const x = at(end - back * 1000);
      pen.textAlign = back === 60 ? "left" : back === 0 ? "right" : "center";
      pen.fillText(back ? `−${back} s` : "now", x, height - 4);
    }
  }

  // When the database stood still or failed, and when the store did.
  troubles(at, height) {
    this.spans(at, height, ({ health }) => (health === "running" ? null : health));
    this.spans(at, height, ({ trouble }) => (trouble === "none" ? null : `store ${trouble}`));
  }

  spans(at, height, of) {
    const { pen } = this;
    let from = 0;
    while (from < samples.length) {
      const what = of(samples[from]);
      let to = from;
      while (to + 1 < samples.length && of(samples[to + 1]) === what) to++;
      if (what !== null) {
        const left = Math.max(at(samples[Math.max(0, from - 1)].at_ms), LEFT), right = at(samples[to].at_ms);
        const stands = what.endsWith("frozen");
        pen.fillStyle = stands ? colours.frozen : colours.failing;
        pen.fillRect(left, 2, right - left, height - BOTTOM - 2);
        pen.fillStyle = stands ? colours.blue : colours.red;
        pen.textAlign = "left";
        pen.textBaseline = "top";
        if (right - left > pen.measureText(what).width + 6) pen.fillText(what, left + 4, 4);
      }
      from = to + 1;
    }
  }

  line(line, at, up, axis) {
    const { pen } = this;
    const runs = [[]];
    let before = null;
    for (const sample of samples) {
      const value = line.of(sample);
      const broken = value === null || (before !== null && sample.at_ms - before > GAP_MS);
      if (broken && runs.at(-1).length) runs.push([]);
      if (value !== null) runs.at(-1).push([at(sample.at_ms), up(value), up(line.above?.(sample) ?? axis.marks[0])]);
      before = sample.at_ms;
    }
    pen.strokeStyle = colours[line.colour];
    pen.fillStyle = colours[line.colour];
    for (const run of runs.filter((points) => points.length)) {
      if (line.fill) {
        pen.globalAlpha = 0.14;
        pen.beginPath();
        for (const [x, y] of run) pen.lineTo(x, y);
        for (const [x, , floor] of run.toReversed()) pen.lineTo(x, floor);
        pen.fill();
        pen.globalAlpha = 1;
      }
      pen.lineWidth = 1.7;
      pen.lineJoin = "round";
      pen.setLineDash(DASHES[line.dash ?? "solid"]);
      // A single sample is a dot, or nobody would see it.
      if (run.length === 1) pen.fillRect(run[0][0] - 1.5, run[0][1] - 1.5, 3, 3);
      else stroke(pen, run);
      pen.setLineDash([]);
    }
  }

  // What somebody pressed, and the moment that the pointer chooses.
  moments(at, height, left) {
    const { pen } = this;
    pen.textBaseline = "top";
    pen.textAlign = "left";
    for (const event of events.filter(({ what }) => what === "stampede" || what === "tag" || what === "update")) {
      const x = Math.round(at(event.at_ms)) + 0.5;
      if (x < left || x > at(samples.at(-1)?.at_ms ?? 0)) continue;
      pen.strokeStyle = colours.faint;
      pen.setLineDash([1, 3]);
      stroke(pen, [[x, TOP], [x, height - BOTTOM]]);
      pen.setLineDash([]);
      pen.fillStyle = colours.faint;
      pen.beginPath();
      pen.moveTo(x - 3.5, TOP - 6);
      pen.lineTo(x + 3.5, TOP - 6);
      pen.lineTo(x, TOP);
      pen.fill();
    }
    if (chosen === null) return;
    const x = Math.round(at(chosen)) + 0.5;
    if (x < left) return;
    pen.strokeStyle = colours.text;
    stroke(pen, [[x, TOP], [x, height - BOTTOM]]);
  }

  // The legend, the label for readers of screens, and a word where there is nothing to see.
  say(width, height) {
    const sample = (chosen !== null && samples.find((one) => one.at_ms === chosen)) || samples.at(-1);
    const said = this.spec.series.map((line) => {
      const value = sample ? line.of(sample) : null;
      const text = value === null ? "–" : this.spec.figure(value);
      if (line.value.textContent !== text) line.value.textContent = text;
      // What there is only with a store is not spoken of without one.
      if (line.optional) line.item.hidden = !samples.some((one) => line.of(one) !== null);
      return `${line.label} ${text}`;
    });
    const heard = said.filter((_, at) => !this.spec.series[at].item.hidden);
    this.canvas.setAttribute("aria-label", `${this.spec.title}: ${heard.join(", ")}`);
    const empty = !samples.some((one) => this.spec.series.some((line) => line.of(one) !== null));
    if (!empty) return;
    this.pen.fillStyle = colours.faint;
    this.pen.textAlign = "center";
    this.pen.textBaseline = "middle";
    this.pen.fillText(samples.length ? "no lookups in the last minute" : "waiting for the first sample", (width + LEFT) / 2, height / 2 - 6);
  }
}

// Shows these samples in every plot.
export function show(news, happened) {
  samples = news;
  events = happened;
  if (chosen !== null && !samples.some((one) => one.at_ms === chosen)) chosen = null;
  for (const plot of plots) plot.draw();
}

// Reads the colours of the scheme that the page has now.
export function paint() {
  const style = getComputedStyle(document.documentElement);
  const names = ["grid", "faint", "text", "blue", "orange", "teal", "violet", "red", "frozen", "failing"];
  colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  for (const plot of plots) plot.draw();
}

function choose(moment) {
  if (moment === chosen) return;
  chosen = moment;
  for (const plot of plots) plot.draw();
}

function step(event) {
  const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
  if (event.key === "Escape") choose(null);
  if (!by || !samples.length) return;
  event.preventDefault();
  const here = chosen === null ? samples.length - 1 : samples.findIndex((one) => one.at_ms === chosen);
  choose(samples[Math.min(samples.length - 1, Math.max(0, here + by))].at_ms);
}

function stroke(pen, points) {
  pen.beginPath();
  for (const [x, y] of points) pen.lineTo(x, y);
  pen.stroke();
}

function values(spec) {
  return samples.flatMap((sample) => spec.series.map((line) => line.of(sample))).filter((value) => value !== null);
}

// From zero to a round number above the highest value, in at most five steps.
function linear(spec) {
  const highest = Math.max(spec.least ?? 1, ...values(spec));
  const most = spec.most ?? highest;
  const rough = most / 4, power = 10 ** Math.floor(Math.log10(rough));
  const each = [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= rough * 0.999);
  const marks = [];
  for (let mark = 0; mark < most + each * 0.999; mark += each) marks.push(mark);
  const top = marks.at(-1);
  return { marks, place: (value) => Math.min(1, value / top) };
}

// Whole powers of ten around the values.
function logarithmic(spec) {
  const all = values(spec).filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(spec.low, ...all))), high = Math.ceil(Math.log10(Math.max(spec.high, ...all)));
  const marks = [];
  for (let power = low; power <= high; power++) marks.push(10 ** power);
  const place = (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low);
  return { marks, place };
}

function swatch(dash = "solid") {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg"), line = document.createElementNS(space, "line");
  for (const [key, value] of Object.entries({ width: 18, height: 8, "aria-hidden": true })) svg.setAttribute(key, value);
  for (const [key, value] of Object.entries({ x1: 0, x2: 18, y1: 4, y2: 4, "stroke-dasharray": DASHES[dash].join(" ") })) line.setAttribute(key, value);
  svg.append(line);
  return svg;
}
