"""async_lru.alru_cache by another import; and memo, with an age and an invalidation."""

import asyncio

from tierce import alru_cache, memo

NAMES = {42: "Ann"}
queries: list[int] = []


async def query(user_id: int) -> dict[str, str]:
    queries.append(user_id)
    await asyncio.sleep(0.01)  # here goes: await conn.fetchrow("SELECT * FROM users WHERE id = $1", user_id)
    return {"name": NAMES[user_id]}


@alru_cache(maxsize=128)
async def fetch_user(user_id: int) -> dict[str, str]:
    return await query(user_id)


@memo(maxsize=128, ttl="5m", stale="1m")
async def user(user_id: int) -> dict[str, str]:
    return await query(user_id)


async def main() -> None:
    await asyncio.gather(*(fetch_user(42) for _ in range(100)))
    assert queries == [42], "all who ask at once share one load"
    print(fetch_user.cache_info())

    await asyncio.gather(*(user(42) for _ in range(100)))
    NAMES[42] = "Bea"  # a write to the database, and then:
    user.invalidate(42)
    assert (await user(42))["name"] == "Bea" and len(queries) == 3

    waiting = asyncio.create_task(user(42))
    waiting.cancel()  # who is cancelled leaves alone
    assert (await user(42))["name"] == "Bea"


asyncio.run(main())
