"""A bounded mapping whose entries end: safe among threads, by a clock that does not step, told of what leaves."""

from concurrent.futures import ThreadPoolExecutor

from tierce import TTLCache, memo

now = 0.0  # seconds; leave the timer out for a real clock
gone: list[tuple[str, str]] = []
sessions: TTLCache[str, dict[str, int]] = TTLCache(
    maxsize=1000, ttl=300, timer=lambda: now, listener=lambda key, value, reason: gone.append((key, reason))
)

sessions["abc"] = {"user": 1}
assert sessions.get("abc") == {"user": 1}

now = 299.0
assert "abc" in sessions
now = 300.0
assert sessions.get("abc") is None, "it is not served any more,"
assert len(sessions) == 0 and gone == [("abc", "expire")], "and the listener hears of it when it is swept"

sessions["def"] = {"user": 2}
assert sessions.invalidate("def") and not sessions.invalidate("def")

with ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda number: sessions.setdefault(f"s{number % 10}", {"user": number}), range(1000)))
assert len(sessions) == 10
print(sessions.currsize, "of", sessions.maxsize)


# Where a function brings the values no mapping is needed, and of all threads that miss one key one loads it.
@memo(ttl="5m")
def session(key: str) -> dict[str, int]:
    print("loaded", key)
    return {"user": len(key)}


with ThreadPoolExecutor(8) as pool:
    list(pool.map(session, ["abc"] * 100))
assert session.cache_info().misses >= 1 and session.cache_info().currsize == 1
