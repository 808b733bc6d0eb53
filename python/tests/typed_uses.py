"""What a type checker must see, read by mypy and pyright in test_typing.py; never run."""

from typing import TypeVar, assert_type

from tierce import (
    CacheInfo, KeyedCache, LRUCache, SignedPickle, Stats, TTLCache, alru_cache, cache, cached, hub, lru_cache, memo,
)  # fmt: skip
from tierce.compat import cachetools, functools
from tierce.compat.async_lru import alru_cache as theirs
from tierce.compat.cachetools import func
from tierce.values import Codec, codec_of, codec_of_function

T = TypeVar("T")


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


@memo
def same(x: T) -> T:
    return x


@memo(ttl="5m")
def same_for_a_time(x: T) -> T:
    return x


@memo
async def same_later(x: T) -> T:
    return x


@cachetools.cached(TTLCache(10, ttl=5), info=True)
def counted(x: int) -> str:
    return str(x)


@func.ttl_cache(maxsize=5, ttl=10)
def timed(x: int) -> str:
    return str(x)


@functools.lru_cache(maxsize=5)
def compat(x: int) -> str:
    return str(x)


@theirs(ttl=5, key=lambda x, y: x)
async def keyed(x: int, y: list[int]) -> str:
    return str(x)


class Client:
    def __init__(self) -> None:
        self.kept: LRUCache[object, object] = LRUCache(10)

    @cachetools.cachedmethod(lambda self: self.kept, info=True)
    def known(self, path: str) -> int:
        return len(path)

    @memo(per_instance=True)
    async def get(self, path: str) -> bytes:
        return path.encode()

    @lru_cache
    def size(self, path: str) -> int:
        return len(path)

    @memo
    @classmethod
    def made(cls, path: str) -> int:
        return len(path)

    @classmethod
    @memo
    def made_below(cls, path: str) -> int:
        return len(path)

    @classmethod
    @lru_cache
    def made_once(cls, path: str) -> int:
        return len(path)

    @memo(maxsize=5)
    @staticmethod
    def free(path: str) -> int:
        return len(path)

    @staticmethod
    @memo
    def free_below(path: str) -> int:
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
    client.size.cache_clear()
    assert_type(client.size.cache_info(), CacheInfo)
    assert_type(client.made("/"), int)
    assert_type(Client.made("/"), int)
    assert_type(Client.made.invalidate("/"), bool)
    assert_type(client.made_below("/"), int)
    assert_type(Client.made_below("/"), int)
    assert_type(client.made_once("/"), int)
    assert_type(Client.made_once("/"), int)
    assert_type(Client.free("/"), int)
    assert_type(Client.free.invalidate("/"), bool)
    assert_type(Client.free_below("/"), int)
    assert_type(same(3), int)
    assert_type(same_for_a_time("3"), str)
    assert_type(await same_later(3), int)
    assert_type(await Client.get(client, "/"), bytes)
    assert_type(client.get.peek("/"), bytes | None)
    assert_type(plain.peek(1), list[int] | None)
    assert_type(await other(1), str)
    found: TTLCache[str, int] = TTLCache(10, ttl="5m")
    assert_type(found["a"], int)
    assert_type(found.get("a"), int | None)
    assert_type(found.pop("a", "b"), int | str)
    assert_type(counted(1), str)
    assert_type(counted.cache_info(), CacheInfo)
    assert_type(timed(1), str)
    assert_type(compat(1), str)
    assert_type(await keyed(1, []), str)
    assert_type(client.known("/"), int)
    assert_type(client.known.cache_info(), CacheInfo)
    code(1)  # type: ignore[arg-type]
    client.made(5)  # type: ignore[arg-type]
    Client.made(5)  # type: ignore[call-overload]
    client.size(5)  # type: ignore[arg-type]
    user.invalidate("1")  # type: ignore[arg-type]
    user.set(5, 1)  # type: ignore[call-overload]
    client.get.invalidate(5)  # type: ignore[arg-type]
    plain(1, 2)  # type: ignore[call-arg]
    await user("1")  # type: ignore[arg-type]
    counted("1")  # type: ignore[arg-type]
    timed("1")  # type: ignore[arg-type]
    compat("1")  # type: ignore[arg-type]
    await keyed("1", [])  # type: ignore[arg-type]
    client.known(1)  # type: ignore[arg-type]
    client.get.set(5, "/")  # type: ignore[call-overload]
    await client.get(5)  # type: ignore[arg-type]


@cached(ttl="5m", key="user:{user_id}", tags=["users", "team:{result}"])
async def shared_user(user_id: int, *, deep: bool = False) -> str:
    return str(user_id)


class Shop:
    @cached
    async def product(self, number: int) -> float:
        return 1.0


async def uses_of_cached(shop: Shop) -> None:
    assert_type(await shared_user(1, deep=True), str)
    assert_type(await shared_user.refresh(1), str)
    assert_type(await shared_user.invalidate(1), None)
    assert_type(shared_user.peek(1), str | None)
    assert_type(shared_user.key(1), str)
    assert_type(shared_user.stats(), Stats)
    assert_type(await shop.product(7), float)
    await shared_user.set("Ann", 1)
    await shared_user.clear()
    await hub().invalidate_tag("users")
    await shared_user("1")  # type: ignore[arg-type]
    await shared_user.set(1, 1)  # type: ignore[arg-type]
    await shop.product.invalidate("7")  # type: ignore[arg-type]


def uses_of_values() -> None:
    codec = codec_of(list[int], "f")
    assert_type(codec.pack([1]), bytes)
    assert_type(codec_of_function(uses_of_values), Codec)
    assert_type(SignedPickle(b"k" * 32, b"o" * 32).codec("product:1", "product"), Codec)
    codec.unpack("x")  # type: ignore[arg-type]
    SignedPickle("k" * 32)  # type: ignore[arg-type]


@cached(key="report:{year}")
def report(year: int) -> list[int]:
    return [year]


carts: KeyedCache[dict[str, int]] = hub().cache("cart", dict[str, int], ttl="1h")


def plain_uses_of_cached() -> None:
    assert_type(report(2024), list[int])
    assert_type(report.invalidate(2024), None)
    assert_type(report.get_many([2024]), dict[int, list[int]])
    assert_type(shared_user.blocking.peek(1), str | None)
    assert_type(carts.blocking.get(7, default=0), dict[str, int] | int)
    with report.hold(2024) as hold:
        assert_type(hold.set([1]), bool)
    report("2024")  # type: ignore[arg-type]
    report.set("x", 2024)  # type: ignore[arg-type]
    carts.blocking.set(7, 7)  # type: ignore[arg-type]


async def more_uses_of_cached() -> None:
    async def load(ids: list[int]) -> dict[int, str]:
        return {one: str(one) for one in ids}

    async def load_cart(key: str) -> dict[str, int]:
        return {key: 1}

    assert_type(await shared_user.get_many([1, 2], load), dict[int, str])
    async with shared_user.hold(1) as hold:
        assert_type(await hold.set("x"), bool)
    assert_type(await carts.get_or_load("a", load_cart), dict[str, int])
    assert_type(await hub().close(), int)
