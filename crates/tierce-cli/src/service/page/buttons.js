// The buttons, and what came of pressing them.

import { explain } from "/explain.js";
import * as shared from "/shared.js";
import { press } from "/feed.js";
import { count, make, time } from "/figures.js";

// More would push the plots of a phone off the screen.
const KEPT = 4;
const by = (id) => document.getElementById(id);
const strong = (text) => make("strong", {}, text);
let bareStampede = null;

export function setUp() {
  on("search", "submit", search);
  on("update", "submit", update);
  on("invalidate", "submit", () => invalidate(by("tag").value.trim()));
  on("stampede", "click", stampede);
  on("freeze", "click", () => trouble("frozen"));
  on("fail", "click", () => trouble("failing"));
  on("thaw", "click", () => trouble("running"));
  shared.setUp(on, tell);
  by("traffic").addEventListener("change", async () => {
    await press("traffic", { per_second: Number(by("traffic").value) }).catch(failed);
  });
}

// What the race says of a stampede without a cache, to compare.
export function compareWith(text) {
  bareStampede = text;
}

// Tells what happened, the newest first.
export function tell(kind, ...parts) {
  const list = by("told");
  for (const hint of list.querySelectorAll("li:not([data-kind])")) hint.remove();
  const line = make("li", { class: kind, "data-kind": kind }, ...parts);
  list.prepend(line);
  while (list.childElementCount > KEPT) list.lastElementChild.remove();
  return line;
}

// A button is out of reach while what it does is under way.
function on(id, event, act) {
  by(id).addEventListener(event, async (happened) => {
    happened.preventDefault();
    const button = by(id).querySelector("button") ?? by(id);
    const focused = document.activeElement === button;
    button.disabled = true;
    try {
      await act();
    } catch (problem) {
      failed(problem);
    } finally {
      button.disabled = false;
      // A disabled button loses the focus; whoever uses the keyboard is where they were.
      if (focused) button.focus();
    }
  });
}

function failed(problem) {
  const lost = problem instanceof TypeError;
  if (lost) tell("bad", strong("No answer. "), "The server cannot be reached.");
  else tell("bad", strong("That failed: "), `${problem.message}.`);
}

function link(text, cache, key) {
  const button = make("button", { class: "plain", type: "button" }, text);
  button.addEventListener("click", () => explain(cache, key));
  return button;
}

const HOW = { hit: "Hit", stale: "Stale", miss: "Miss" };
const SOURCE = { hit: "from memory", stale: "past its time, from memory, reloaded behind", miss: "from the database" };

async function search() {
  const told = await press("search", { q: by("text").value });
  const names = told.places.slice(0, 3).flatMap((place, at) => [at ? ", " : "", link(`${place.name}, ${place.country}`, "places", String(place.id))]);
  tell("good", strong(`${HOW[told.outcome]}: ${time(told.took_us)}`), ` ${SOURCE[told.outcome]}. `, link(`“${told.key}”`, "searches", told.key), " finds ", ...(names.length ? names : ["nothing"]), ".");
  if (told.places.length) {
    by("place").replaceChildren(...told.places.map((place) => make("option", { value: place.id }, `${place.name}, ${place.country}`)));
  }
}

async function update() {
  const told = await press("update", { id: Number(by("place").value) });
  const { before, after, read } = told;
  // Whoever reads in the other processes, a moment later.
  const others = told.others.map((other, at) => (other ? `${other.outcome}, version ${other.place.version} in process ${at + 2}` : `no answer in process ${at + 2}`));
  const elsewhere = others.length ? ` Then: ${others.join("; ")}.` : "";
  const untold = told.untold ? " The store does not take it now, and is told again until it does." : "";
  tell("good", strong(`${told.name}: ${count(before.population)} → ${count(after.population)}`), ` in ${time(told.took_us)}, ${told.tags.length} tags invalidated (${told.tags.join(", ")}). The next reader: `, link(`${read.outcome}, version ${read.place.version}`, "places", String(read.place.id)), ` in ${time(read.took_us)}.${elsewhere}${untold}`);
}

export async function invalidate(tag) {
  const told = await press("invalidate", { tag });
  tell("good", strong(`Tag ${told.tag} invalidated in ${time(told.took_us)}`), ": one write, however many entries have it. None of them is ever served again, not even as stale.");
}

async function stampede() {
  const told = await press("stampede", { callers: 1000 });
  const queries = `${count(told.queries)} ${told.queries === 1 ? "query" : "queries"}`;
  const key = link(`“${told.key}”`, "searches", told.key);
  if (told.failed) {
    const all = told.failed === told.callers;
    tell("bad", strong(`${queries}, ${count(told.failed)} failures`), ` for ${count(told.callers)} callers of `, key, `: ${all ? "all share" : "they share"} one outcome (${told.error}) after ${time(told.last_us)}. Its entry was invalidated, so nothing stale may stand in.`);
    return;
  }
  const where = told.processes > 1 ? ` in ${told.processes} processes` : "";
  tell("good", strong(`${count(told.callers)} callers${where}, ${queries}, ${time(told.last_us)}`), ` until all had their answer; half within ${time(told.median_us)}, 99 % within ${time(told.p99_us)}. The key `, key, " had just been invalidated.", bareStampede ? ` ${bareStampede}` : "");
}

async function trouble(health) {
  const told = await press("database", { health });
  const seconds = told.for_ms / 1000;
  if (health === "frozen") {
    tell("frozen", strong(`The database stands still for ${seconds} s. `), "Entries go on to be served, stale when their time is over. Who needs a load waits, at most 2 s.");
  } else if (health === "failing") {
    tell("bad", strong(`Every query fails for ${seconds} s. `), "Stale values stand in; who asks for what is not in memory is told at once.");
  }
}
