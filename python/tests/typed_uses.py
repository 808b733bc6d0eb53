"""What a type checker must see, read by mypy in test_typing.py; never run."""

from typing import assert_type

from tierce import CacheInfo, TTLCache, alru_cache, cache, lru_cache, memo


@lru_cache(maxsize=10)
def code(name: str) -> int:
    return len(name)


@cache
def double(x: int) -> int:
    return 2 * x


@memo(ttl="5m")
async def user(user_id: int, *, full: bool = False) -> str:
    return str(user_id)


@memo
def plain(x: int) -> list[int]:
    return [x]


class Client:
    @memo(per_instance=True)
    async def get(self, path: str) -> bytes:
        return path.encode()

    @lru_cache
    def size(self, path: str) -> int:
        return len(path)


@alru_cache(maxsize=5)
async def other(x: int) -> str:
    return str(x)


async def uses(client: Client) -> None:
    assert_type(code("a"), int)
    assert_type(code.cache_info(), CacheInfo)
    assert_type(double(2), int)
    assert_type(await user(1, full=True), str)
    assert_type(user.peek(1), str | None)
    assert_type(user.invalidate(1), bool)
    assert_type(await user.refresh(1), str)
    user.set("x", 1)
    assert_type(plain(1), list[int])
    assert_type(await client.get("/"), bytes)
    assert_type(client.get.invalidate("/"), bool)
    assert_type(client.size("/"), int)
    assert_type(await other(1), str)
    found: TTLCache[str, int] = TTLCache(10, ttl="5m")
    assert_type(found["a"], int)
    code(1)  # type: ignore[arg-type]
    user.invalidate("1")  # type: ignore[arg-type]
    user.set(5, 1)  # type: ignore[arg-type]
    client.get.invalidate(5)  # type: ignore[arg-type]
    plain(1, 2)  # type: ignore[call-arg]
    await user("1")  # type: ignore[arg-type]
