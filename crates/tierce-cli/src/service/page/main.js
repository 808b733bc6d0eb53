// Puts the page together: feeds what the server says to plots, tiles and tables.

import * as buttons from "/buttons.js";
import * as explain from "/explain.js";
import { follow } from "/feed.js";
import { count, make, ms, percent, time } from "/figures.js";
import { paint, show } from "/plot.js";
import { plots } from "/plots.js";
import { complete, shared } from "/shared.js";

const by = (id) => document.getElementById(id);
// For those who want less motion, the plots move in steps of two seconds.
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const CALM_MS = 2000;
const STEP_S = 0.5;
let drawn = 0, trouble = null;

plots(by("plots"));
paint();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
buttons.setUp();
explain.setUp(buttons.invalidate);
follow({ onNews, onLost });
race();

function set(id, text) {
  if (by(id).textContent !== text) by(id).textContent = text;
}

function onNews(news, samples) {
  const wasLost = !by("lost").hidden;
  by("lost").hidden = true;
  pill("link", "live", "good");
  by("traffic").disabled = false;
  if (document.activeElement !== by("traffic")) choose(news.traffic.per_second);
  if (wasLost) race();
  const now = performance.now();
  if (!calm.matches || now - drawn >= CALM_MS) {
    drawn = now;
    show(samples, news.events);
    tiles(news, samples);
  }
  health(news.database, samples);
  shared(news.store, samples);
  complete(samples);
  caches(news.caches, news.store ? ROWS : ROWS.filter(([, , kind]) => kind !== SHARED));
  recent(news.recent);
  // For whoever tests the page: how far it is.
  document.body.dataset.seq = samples.at(-1)?.seq ?? 0;
}

function onLost() {
  by("lost").hidden = false;
  pill("link", "no answer, trying again", "bad");
  by("traffic").disabled = true;
}

function pill(id, text, kind) {
  set(id, text);
  by(id).className = `pill ${kind}`;
}

function choose(rate) {
  const select = by("traffic");
  if (![...select.options].some((option) => Number(option.value) === rate)) {
    select.append(make("option", { value: rate }, `${count(rate)} lookups/s`));
  }
  select.value = String(rate);
}

function tiles({ totals }, samples) {
  const lately = samples.slice(-20);
  const lookups = lately.reduce((sum, s) => sum + s.lookups, 0);
  set("tile-rate", lookups ? percent(lately.reduce((sum, s) => sum + s.hits + s.stale, 0) / lookups) : "–");
  set("tile-hit", median(lately.map((s) => s.hit_p50_us)));
  set("tile-miss", median(lately.map((s) => s.miss_p50_us)));
  // A lookup without an answer has spared nobody anything.
  const saved = Math.max(0, totals.lookups - totals.queries - totals.failed);
  set("tile-queries", totals.lookups ? count(saved) : "–");
  set("tile-queries-note", totals.lookups ? `of ${count(totals.lookups)} lookups` : "since the start");
  set("tile-shared", count(totals.coalesced));
  set("tile-saved", totals.saved_ms ? ms(totals.saved_ms) : "–");
}

function median(times) {
  const known = times.filter((us) => us !== null).sort((a, b) => a - b);
  return known.length ? time(known[known.length >> 1]) : "–";
}

function health({ health, left_ms, queued }, samples) {
  const left = `${Math.ceil(left_ms / 1000)} s yet`;
  if (health === "running") pill("health", "database: running", "good");
  else if (health === "frozen") pill("health", `database: frozen, ${left}, ${count(queued)} queued`, "frozen");
  else pill("health", `database: failing, ${left}`, "bad");
  by("thaw").hidden = health === "running";
  by("freeze").hidden = by("fail").hidden = health !== "running";
  if (health !== "running" && trouble?.health !== health) trouble = { health, from: samples.at(-1)?.seq ?? 0 };
  if (health === "running" && trouble) over(samples);
}

// What became of the lookups while the database was in trouble.
function over(samples) {
  const during = samples.filter((s) => s.seq > trouble.from);
  const sum = (of) => count(during.reduce((all, s) => all + of(s), 0) * STEP_S);
  const what = trouble.health === "frozen" ? "The freeze is over. " : "The failure is over. ";
  trouble = null;
  buttons.tell("good", make("strong", {}, what), `Meanwhile ${sum((s) => s.hits)} lookups were answered fresh from memory, ${sum((s) => s.stale)} stale, ${sum((s) => s.misses)} by a load; ${sum((s) => s.failed)} failed.`);
}

// Of rows that there are only where there is a store.
const SHARED = "detail shared";
const ROWS = [
  ["entries", (c) => count(c.entries)],
  ["room for", (c) => count(c.capacity)],
  ["hit rate", (c) => (c.hit_rate === null ? "–" : percent(c.hit_rate))],
  ["hits", (c) => count(c.hits)],
  ["served stale", (c) => count(c.stale_hits), "detail"],
  ["known absences", (c) => count(c.negative_hits), "detail"],
  ["misses", (c) => count(c.misses)],
  ["found in the store", (c) => count(c.store_hits), SHARED],
  ["waited for another's load", (c) => count(c.coalesced), "detail"],
  ["loads", (c) => count(c.loads)],
  ["failed", (c) => count(c.load_errors), "detail"],
  ["overtaken, not kept", (c) => count(c.refused), "detail"],
  ["a query takes, mean", (c) => (c.mean_query_ms ? ms(c.mean_query_ms) : "–")],
  ["query time saved", (c) => (c.query_time_saved_ms ? ms(c.query_time_saved_ms) : "–")],
];

function caches(list, rows) {
  const table = by("caches");
  if (table.rows.length !== rows.length + 1) {
    const heads = list.map(({ name }) => {
      const button = make("button", { class: "plain", type: "button" }, name);
      button.addEventListener("click", () => explain.explain(name));
      return make("th", { scope: "col" }, button);
    });
    table.replaceChildren(make("thead", {}, make("tr", {}, make("td"), ...heads)), make("tbody", {}, ...rows.map(([label, , kind = ""]) => make("tr", { class: kind }, make("th", { scope: "row" }, label), ...list.map(() => make("td"))))));
  }
  rows.forEach(([, figure], row) => list.forEach((cache, column) => {
    const cell = table.rows[row + 1].cells[column + 1], text = figure(cache);
    if (cell.textContent !== text) cell.textContent = text;
  }));
}

function recent(lookups) {
  const list = by("recent");
  // What somebody points at, has the focus on, or has explained and comes back to, does not run away.
  if (list.matches(":hover") || list.contains(document.activeElement) || by("explain").open) return;
  while (list.childElementCount < lookups.length) {
    const button = make("button", { type: "button" }, ...["outcome", "faint", "key", "took"].map((kind) => make("span", { class: kind })));
    button.addEventListener("click", () => explain.explain(button.dataset.cache, button.dataset.key));
    list.append(make("li", {}, button));
  }
  lookups.forEach(({ cache, key, outcome, took_us }, at) => {
    const button = list.children[at].firstElementChild;
    Object.assign(button.dataset, { cache, key });
    [outcome, cache, key, time(took_us)].forEach((text, part) => (button.children[part].textContent = text));
    button.children[0].className = `outcome ${outcome}`;
  });
}

async function race() {
  const told = await fetch("/race").then((answer) => answer.json()).catch(() => null);
  if (!told) return;
  const head = make("thead", {}, make("tr", {}, make("td"), ...told.columns.map((name) => make("th", { scope: "col" }, name))));
  const rows = told.rows.map(({ label, figures, detail }) => make("tr", detail ? { class: "detail" } : {}, make("th", { scope: "row" }, label), ...figures.map((figure) => make("td", {}, figure))));
  by("race").replaceChildren(head, make("tbody", {}, ...rows));
  by("remarks").replaceChildren(...told.remarks.map((remark) => make("li", {}, remark)));
  set("method", told.method);
  const at = told.rows.findIndex(({ label }) => label.includes("cold key: loads"));
  if (at >= 0) buttons.compareWith(`In the race, with no cache: ${told.rows[at].label.split(",").slice(0, -1).join(",")}, ${told.rows[at].figures[0]} queries, ${told.rows[at + 1].figures[0]}.`);
}
