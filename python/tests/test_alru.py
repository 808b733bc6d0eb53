"""alru_cache, and the names under tierce.compat."""

import asyncio

import pytest
from held_time import held_time

from tierce import alru_cache
from tierce.compat import async_lru, cachetools, functools


def test_it_counts_as_async_lru_counts():
    calls = []

    @alru_cache(maxsize=2)
    async def source(x):
        calls.append(x)
        await asyncio.sleep(0)
        return x

    async def main():
        assert await asyncio.gather(*(source(1) for _ in range(5))) == [1] * 5
        assert source.cache_info() == (4, 1, 2, 1) and calls == [1]
        assert source.cache_contains(1) and not source.cache_contains(2)
        assert source.cache_invalidate(1) and not source.cache_invalidate(1)
        await source(1), await source(2), await source(3)
        assert source.cache_info().currsize == 2
        assert source.cache_parameters() == {"maxsize": 2, "typed": False, "tasks": 0, "closed": False}
        source.cache_clear()
        assert source.cache_info() == (0, 0, 2, 0)
        await source(1)
        await source.cache_close()
        with pytest.raises(RuntimeError, match="closed"):
            await source(1)

    asyncio.run(main())


def test_ttl_is_in_seconds_and_jitter_is_added_to_it():
    @alru_cache(ttl=10, jitter=5)
    async def source(x):
        return object()

    async def main():
        with held_time() as clock:
            first = await source(1)
            clock.advance(9.9)
            assert await source(1) is first
            clock.advance(5.2)
            assert await source(1) is not first

    asyncio.run(main())
    with pytest.raises(ValueError):
        alru_cache(jitter=1)


def test_methods_have_self_in_their_keys():
    class Kind:
        @alru_cache
        async def get(self, x):
            return self, x

    async def main():
        one, two = Kind(), Kind()
        assert await one.get(1) == (one, 1) and await two.get(1) == (two, 1)
        assert one.get.cache_invalidate(1) and two.get.cache_contains(1)

    asyncio.run(main())


def test_only_async_functions_are_taken():
    with pytest.raises(RuntimeError, match="Coroutine function is required"):
        alru_cache(lambda: 1)


def test_the_names_of_what_is_replaced():
    import functools as original

    import tierce

    assert functools.lru_cache is tierce.lru_cache and functools.partial is original.partial
    assert async_lru.alru_cache is alru_cache
    calls = []

    @cachetools.cached(cachetools.TTLCache(maxsize=10, ttl=300), info=True)
    def source(x):
        calls.append(x)
        return x

    assert source(1) == source(1) == 1 and calls == [1]
    assert source.cache_info() == (1, 1, 10, 1)
