// What is known of a cache, or of a key of it; asked again every second while it is open.

import { count, make, ms, percent } from "/figures.js";

const AGAIN_MS = 1000;
const by = (id) => document.getElementById(id);
let subject = null, timer = null, onTag = () => {};

export function setUp(invalidate) {
  onTag = invalidate;
  by("explain-close").addEventListener("click", () => by("explain").close());
  by("explain").addEventListener("close", () => {
    clearTimeout(timer);
    subject = null;
  });
  by("explain-key").addEventListener("submit", (event) => {
    event.preventDefault();
    explain(by("explain-cache").value, by("explain-text").value.trim());
  });
}

// A key's, or the cache's where there is no key.
export function explain(cache, key = null) {
  subject = { cache, key };
  by("explain-title").textContent = key === null ? `Cache ${cache}` : `${cache}: ${key}`;
  by("explain-verdict").textContent = "asking …";
  for (const id of ["explain-facts", "explain-tags", "explain-note"]) by(id).replaceChildren();
  if (!by("explain").open) by("explain").showModal();
  ask();
}

async function ask() {
  clearTimeout(timer);
  const asked = subject;
  if (!asked) return;
  const words = new URLSearchParams(asked.key === null ? { cache: asked.cache } : asked);
  try {
    const answer = await fetch(`/explain?${words}`, { signal: AbortSignal.timeout(4000) });
    const told = await answer.json();
    if (asked !== subject) return;
    if (!answer.ok) by("explain-verdict").textContent = told.error;
    else if (asked.key === null) showCache(told);
    else showKey(told);
  } catch {
    if (asked === subject) by("explain-verdict").textContent = "The server does not answer.";
  }
  if (asked === subject) timer = setTimeout(ask, AGAIN_MS);
}

const IN_STORE = {
  nothing: () => "nothing",
  unreadable: () => "bytes that are no entry of this cache",
  unknown: () => "it does not say",
  entry: (entry) => `${entry.negative ? "a known absence" : "a value"} of ${count(entry.size_bytes)} B, fresh for ${ms(Math.max(0, entry.fresh_for_ms ?? 0))}`,
  ended: (entry) => `a value of ${count(entry.size_bytes)} B, ended: nobody is served by it`,
};

function showKey({ memory, loading, last_gone, store }) {
  const inStore = store ? [["In the store", IN_STORE[store.what](store)]] : [];
  const verdict = memory === null
    ? loading ? "Not in memory; a load of it runs."
      : store?.what === "entry" ? "Not in memory of this process: the next caller takes it from the store." : "Not in memory: the next caller loads it."
    : memory.fresh_for_ms > 0
      ? memory.negative ? "Known not to exist: no query asks again." : "In memory and fresh: a hit."
      : memory.served ? "In memory, past its time: served stale while it is reloaded." : "In memory, past its time: served only if the load fails or is slow.";
  by("explain-verdict").textContent = verdict;
  const span = (time) => (time === null ? "–" : ms(Math.max(0, time)));
  facts(memory === null
    ? [["Load", loading ? "running" : "none"], ["Why it is not here", last_gone], ...inStore]
    : [
      ["Age", span(memory.age_ms)],
      ["Fresh for", span(memory.fresh_for_ms)],
      ["Kept for", span(memory.kept_for_ms)],
      ["Its load took", ms(memory.cost_ms)],
      ["Load", loading ? "running" : "none"],
      ["Last time it was missing", last_gone],
      ...inStore,
    ]);
  const tags = memory?.tags ?? [];
  if (by("explain-tags").dataset.tags !== tags.join()) {
    by("explain-tags").dataset.tags = tags.join();
    by("explain-tags").replaceChildren(...tags.map((tag) => {
      const button = make("button", { type: "button" }, tag);
      button.addEventListener("click", () => onTag(tag).then(ask));
      return button;
    }));
  }
  by("explain-note").textContent = tags.length ? "Choose a tag to invalidate it: this entry ends with all others under it." : "";
}

function showCache({ settings, counts }) {
  by("explain-verdict").textContent = counts.hit_rate === null
    ? "Nobody has asked it for anything yet."
    : `${percent(counts.hit_rate)} of its lookups found something in memory.`;
  facts([
    ...settings,
    ["holds", `${count(counts.entries)} entries`],
    ["evicted, expired, invalidated", [counts.evicted, counts.expired, counts.invalidated].map(count).join(", ")],
    ["a load takes, mean", counts.mean_load_ms === null ? "–" : `${ms(counts.mean_load_ms)}, waiting included`],
    ["loads that failed", count(counts.load_errors)],
    ["turned away, too many loads", count(counts.busy)],
  ]);
}

function facts(pairs) {
  const text = JSON.stringify(pairs);
  if (by("explain-facts").dataset.text === text && by("explain-facts").childElementCount) return;
  by("explain-facts").dataset.text = text;
  by("explain-facts").replaceChildren(...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}
