// The processes, the store that they share, and how each of them sees it. Nothing of it is shown where there is no store.

import { press } from "/feed.js";
import { count, decimal, make, ms, percent, time } from "/figures.js";

const STEP_S = 0.5;
const by = (id) => document.getElementById(id);
let tell = () => {}, suffering = null;

export function setUp(on, told) {
  tell = told;
  on("store-freeze", "click", () => trouble("frozen"));
  on("store-kill", "click", () => trouble("killed"));
  on("store-back", "click", () => trouble("none"));
}

export function shared(store, samples) {
  for (const id of ["shared", "store"]) by(id).hidden = !store;
  by("store-trouble").hidden = !store?.own;
  if (!store) return;
  pill(store);
  const well = store.trouble === "none";
  by("store-freeze").hidden = by("store-kill").hidden = !well;
  by("store-back").hidden = well;
  set(by("store-back"), store.trouble === "killed" ? "Start the store again" : "Let the store go on");
  set(by("shared-note"), `Each has memory of its own; all share ${store.title}, and one database. The plots and counts are of all together; the buttons and the latest lookups are those of process 1.`);
  table(store.processes);
  // From when on lookups are counted, to be told when it is over.
  if (!well && suffering === null) suffering = samples.at(-1)?.seq ?? 0;
}

function pill({ trouble, processes }) {
  const known = processes.map(({ store }) => store).filter(Boolean);
  const away = known.filter(({ is_away }) => is_away).length;
  const apart = known.filter((store) => store.tells && !store.is_coherent).length;
  const [text, kind] = trouble === "frozen" ? ["frozen", "frozen"]
    : trouble === "killed" ? ["killed", "bad"]
    : away ? [`no answer in ${away} of ${known.length}`, "bad"]
    : apart ? [`not coherent in ${apart} of ${known.length}`, "frozen"]
    : ["connected", "good"];
  set(by("store"), `store: ${text}`);
  by("store").className = `pill ${kind}`;
}

const ROWS = [
  ["lookups/s", ({ answers, lookups }) => (answers ? decimal(Math.round(lookups)) : "no answer")],
  ["answered from memory", ({ lookups, memory }) => (lookups ? percent(memory / lookups) : "–")],
  ["found in the store, /s", ({ found }) => decimal(Math.round(found * 10) / 10)],
  ["entries in memory", ({ entries }) => count(entries)],
  ["store", ({ store }) => (store.is_away ? ["away: breaker open", "bad"] : ["connected", "good"])],
  ["memory", ({ store }) => memory(store)],
  ["an answer takes", ({ store }) => (store.round_trip_us === null ? "–" : time(store.round_trip_us))],
  ["changes it has yet to be told", ({ store }) => (store.untold ? [count(store.untold), "bad"] : "0")],
  ["requests without an answer", ({ store }) => count(store.faults)],
  ["what was wrong last", ({ store }) => store.last_fault ?? "–"],
];

function memory({ tells, is_coherent, grace_ms, is_away }) {
  if (is_coherent) return ["coherent", "good"];
  if (grace_ms !== null) return [`goes on for ${Math.ceil(grace_ms / 1000)} s`, "frozen"];
  if (tells) return ["on its own: entries last 10 s", "bad"];
  return is_away ? ["on its own: entries last 1 s", "bad"] : ["asks again after 1 s", "good"];
}

function table(processes) {
  const host = by("processes");
  if (host.rows[0]?.cells.length !== processes.length + 1) {
    const heads = processes.map((_, at) => make("th", { scope: "col" }, `process ${at + 1}`));
    // A dozen of them are scrolled through sideways.
    host.style.minWidth = `${96 + processes.length * 78}px`;
    const row = ([label]) => make("tr", {}, make("th", { scope: "row" }, label), ...processes.map(() => make("td")));
    host.replaceChildren(make("thead", {}, make("tr", {}, make("td"), ...heads)), make("tbody", {}, ...ROWS.map(row)));
  }
  ROWS.forEach(([, figure], row) => processes.forEach((process, column) => {
    const shown = process.store || row < 4 ? figure(process) : "–";
    const [text, kind] = Array.isArray(shown) ? shown : [shown, ""];
    const cell = host.rows[row + 1].cells[column + 1];
    set(cell, text);
    if (cell.className !== kind) cell.className = kind;
  }));
}

async function trouble(wanted) {
  const told = await press("store", { trouble: wanted });
  const strong = (text) => make("strong", {}, text);
  if (wanted === "frozen") {
    tell("frozen", strong("The store stands still (SIGSTOP). "), "Memory goes on. Who misses waits for it 50 ms at most; after three such waits nobody does, and misses go to the database.");
  } else if (wanted === "killed") {
    tell("bad", strong("The store is gone, and all that it held. "), "Memory goes on; misses go to the database, and nobody waits for the store.");
  } else if (told.recovered_ms !== undefined) {
    over(told);
  }
}

// What became of the lookups meanwhile, and how soon the store was in use again.
function over({ recovered_ms, back, processes }) {
  const from = suffering;
  suffering = null;
  const strong = make("strong", {}, back === processes
    ? `The store is back: all ${processes} processes use it again after ${ms(recovered_ms)}. `
    : `The store is back, and ${back} of ${processes} processes use it after ${ms(recovered_ms)}. `);
  const line = tell(back === processes ? "good" : "bad", strong);
  line.dataset.from = from ?? 0;
}

// The samples of the time that is over come a moment later.
export function complete(samples) {
  const line = document.querySelector("#told li[data-from]");
  if (!line) return;
  const during = samples.filter(({ seq, trouble }) => seq > Number(line.dataset.from) && trouble !== "none");
  if (!during.length) return;
  const sum = (of) => count(during.reduce((all, s) => all + of(s), 0) * STEP_S);
  delete line.dataset.from;
  line.append(`Without it ${sum((s) => s.hits + s.stale)} lookups were answered from memory, ${sum((s) => s.misses)} by a load; ${sum((s) => s.failed)} failed.`);
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
