// Follows the live feed: one question at a time, twice a second, none while the page is out of sight.

const EVERY_MS = 500;
// A server that is busy answers later than this only if it is in trouble.
const PATIENCE_MS = 4000;
const RETRY_MS = 1000;
const WINDOW_MS = 60_000;

export function follow({ onNews, onLost }) {
  const feed = { run: null, seq: 0, samples: [] };
  let timer = null;
  let asking = false;

  async function ask() {
    clearTimeout(timer);
    if (asking || document.hidden) return;
    asking = true;
    const began = performance.now();
    let pause = EVERY_MS;
    try {
      const answer = await fetch(`/live?after=${feed.seq}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const news = await answer.json();
      if (news.run !== feed.run && feed.run !== null) {
        // Another server has taken the place of the one before: its numbers begin anew.
        const fresh = feed.seq === 0 ? news : await (await fetch("/live", { signal: AbortSignal.timeout(PATIENCE_MS) })).json();
        Object.assign(feed, { seq: 0, samples: [] });
        take(fresh);
      } else {
        take(news);
      }
      pause = Math.max(50, EVERY_MS - (performance.now() - began));
    } catch {
      pause = RETRY_MS;
      onLost();
    } finally {
      asking = false;
      timer = setTimeout(ask, pause);
    }
  }

  function take(news) {
    feed.run = news.run;
    feed.samples.push(...news.samples);
    const last = feed.samples.at(-1);
    if (last) {
      feed.seq = last.seq;
      feed.samples = feed.samples.filter((sample) => sample.at_ms > last.at_ms - WINDOW_MS - 1000);
    }
    onNews(news, feed.samples);
  }

  document.addEventListener("visibilitychange", ask);
  ask();
}

// Presses a button of the server's; gives what it answers, or throws what it says is wrong.
export async function press(what, body) {
  const answer = await fetch(`/do/${what}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}
