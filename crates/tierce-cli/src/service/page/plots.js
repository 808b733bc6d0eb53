// Which plots there are, and what is in each.

import { count, decimal, mark, ms, rate, short, time } from "/figures.js";
import { Plot } from "/plot.js";

const share = (part) => (sample) => (sample.lookups ? (part(sample) / sample.lookups) * 100 : null);
const percents = { axis: (n) => `${n} %`, figure: (n) => `${n.toFixed(1)} %`, most: 100 };
const rates = { axis: (n) => `${short(n)}/s`, figure: rate };

const PLOTS = [
  {
    id: "rate", title: "Answered from memory", ...percents,
    hint: "Lookups that waited for nothing. It climbs as the caches fill; stale ones are past their time.",
    series: [
      { label: "all", colour: "teal", fill: true, of: share((s) => s.hits + s.stale) },
      { label: "of them stale", colour: "violet", of: share((s) => s.stale) },
      { label: "found in the store", colour: "blue", dash: "dashed", optional: true, of: (s) => (s.found === null ? null : share((one) => one.found)(s)) },
      { label: "failed", colour: "red", dash: "dotted", of: share((s) => s.failed) },
    ],
  },
  {
    id: "latency", title: "Time of a lookup", axis: mark, figure: time, log: true, low: 1, high: 10_000,
    hint: "A hit is a look into memory, a miss a query: note the scale, each line up is ten times more.",
    series: [
      { label: "hit p50", colour: "teal", of: (s) => s.hit_p50_us },
      { label: "hit p99", colour: "teal", dash: "dashed", of: (s) => s.hit_p99_us },
      { label: "miss p50", colour: "orange", of: (s) => s.miss_p50_us },
      { label: "miss p99", colour: "orange", dash: "dashed", of: (s) => s.miss_p99_us },
    ],
  },
  {
    id: "queries", title: "Queries saved", ...rates,
    hint: "Without a cache each lookup is a query. The area between the lines is what tierce spares.",
    series: [
      { label: "without a cache", colour: "teal", dash: "dashed", fill: true, above: (s) => Math.min(s.lookups, s.queries + s.failed), of: (s) => s.lookups },
      { label: "queries run", colour: "blue", of: (s) => s.queries },
    ],
  },
  {
    id: "loads", title: "Loads saved", ...rates,
    hint: "Callers who come while a key loads wait for that load. A stampede is a peak here, and one load.",
    series: [
      { label: "loads", colour: "blue", of: (s) => s.loads },
      { label: "waited for another's", colour: "teal", fill: true, of: (s) => s.coalesced },
    ],
  },
  {
    id: "time", title: "Database time saved", axis: (n) => mark(n * 1e3), figure: (n) => `${ms(n)}/s`, least: 10,
    hint: "In each second: what the hits would have cost as queries (an estimate), and what queries did cost.",
    series: [
      { label: "saved", colour: "teal", fill: true, of: (s) => s.saved_ms },
      { label: "spent", colour: "orange", of: (s) => s.spent_ms },
    ],
  },
  {
    id: "entries", title: "Entries by cache", axis: short, figure: count, log: true, low: 1, high: 1000,
    hint: "What memory holds; each line up is ten times more. Expired entries leave when they are noticed.",
    series: ["places", "countries", "searches"].map((label, at) => ({
      label, colour: ["blue", "teal", "violet"][at], dash: ["solid", "dashed", "dotted"][at],
      of: (s) => s.entries[at] || null,
    })),
  },
  {
    id: "tags", title: "Tags", ...rates, least: 4,
    hint: "Each update invalidates tags: one write each. Entries leave when they are next asked for.",
    series: [
      { label: "tags invalidated", colour: "violet", fill: true, of: (s) => s.tags },
      { label: "entries left", colour: "blue", of: (s) => s.invalidated },
      { label: "loads overtaken", colour: "red", dash: "dotted", of: (s) => s.refused },
    ],
  },
  {
    id: "trouble", title: "Trouble", axis: short, figure: decimal, least: 4,
    hint: "Freeze the database or make it fail: queries queue, loads fail; the first plot shows what is answered all the same.",
    series: [
      { label: "queries queued", colour: "blue", fill: true, of: (s) => s.queued },
      { label: "failed loads/s", colour: "orange", dash: "dashed", of: (s) => s.load_errors },
      { label: "failed lookups/s", colour: "red", of: (s) => s.failed },
    ],
  },
];

export function plots(host) {
  for (const spec of PLOTS) new Plot(host, spec);
}
