"""alru_cache, and the names under tierce.compat."""

import asyncio
import pickle
import threading
from datetime import timedelta

import pytest
from held_time import held_time
from waiting import LONGEST_S

from tierce import alru_cache, lru_cache
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


def test_closing_ends_the_loads_for_all_who_wait():
    calls, landed = [], []

    @alru_cache
    async def source(x):
        calls.append(x)
        await asyncio.sleep(0.01)
        landed.append(x)
        return x

    async def main():
        tasks = [asyncio.create_task(source(1)) for _ in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await source.cache_close()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, (RuntimeError, asyncio.CancelledError)) for one in found), found
        await asyncio.sleep(0.03)
        assert calls == [1] and landed == [], "who waited begins no load of his own"
        assert not source.cache_contains(1) and source.cache_parameters()["tasks"] == 0

    asyncio.run(main())


def test_closing_may_wait_for_the_loads():
    @alru_cache
    async def source(x):
        await asyncio.sleep(0.01)
        return x

    async def main():
        tasks = [asyncio.create_task(source(1)) for _ in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await source.cache_close(wait=True)
        assert await asyncio.gather(*tasks) == [1] * 5
        with pytest.raises(RuntimeError, match="closed"):
            await source(1)

    asyncio.run(main())


def test_what_was_invalidated_while_it_was_loaded_is_not_there():
    @alru_cache
    async def source(x):
        await asyncio.sleep(0.01)
        return x

    async def main():
        task = asyncio.create_task(source(1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert source.cache_contains(1) and source.cache_invalidate(1)
        assert not source.cache_contains(1) and not source.cache_invalidate(1)
        assert await task == 1 and not source.cache_contains(1)

    asyncio.run(main())


def test_a_forked_child_has_no_loads_of_its_parent():
    import os
    import subprocess
    import sys

    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    code = """
import asyncio, os, warnings
warnings.simplefilter("ignore")
from tierce import alru_cache

@alru_cache
async def source(x):
    await asyncio.sleep(0.01)
    return x

async def main():
    task = asyncio.create_task(source(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    pid = os.fork()
    if pid == 0:
        os._exit(source.cache_contains(1) + 2 * source.cache_parameters()["tasks"])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert await task == 1

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_hit_asks_the_mapping_as_cachetools_does():
    from tierce.compat.cachetools.keys import hashkey

    asked = []

    class Asked(cachetools.LRUCache):
        def __getitem__(self, key):
            asked.append(key)
            return super().__getitem__(key)

        def __missing__(self, key):
            if key == hashkey("given"):
                return "missing"
            raise KeyError(key)

    source = cachetools.cached(Asked(10))(lambda x: x)
    assert source(1) == source(1) == 1 and asked == [hashkey(1)] * 2
    assert source("given") == "missing"


@pytest.mark.parametrize("locked", [False, True])
def test_methods_of_an_instance_share_a_load_by_a_condition(locked):
    import time

    calls = []

    class Kind:
        def __init__(self):
            self.cache = cachetools.LRUCache(10)
            self.lock = threading.RLock()
            self.condition = threading.Condition(self.lock)

        @cachetools.cachedmethod(
            lambda self: self.cache, lock=(lambda self: self.lock) if locked else None, condition=lambda self: self.condition
        )
        def get(self, x):
            calls.append(x)
            time.sleep(0.05)
            return x

    one = Kind()
    threads = [threading.Thread(target=one.get, args=(1,), daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert calls == [1] and one.get(1) == 1 and Kind().get(1) == 1 and calls == [1, 1]


def test_a_hit_by_a_condition_compares_its_key_with_no_load_again():
    """A comparison that says now this and now that, while another load runs."""
    began, go, answers = threading.Event(), threading.Event(), []

    class Key:
        def __init__(self, number):
            self.number = number

        def __hash__(self):
            return 1

        def __eq__(self, other):
            if answers and 2 in (self.number, other.number):
                return answers.pop(0)
            return self.number == other.number

    @cachetools.cached({}, condition=threading.Condition())
    def load(key):
        if key.number == 2:
            began.set()
            assert go.wait(LONGEST_S)
        return key.number

    assert load(Key(1)) == 1
    thread = threading.Thread(target=load, args=(Key(2),))
    thread.start()
    assert began.wait(LONGEST_S)
    answers += [False, True, False]
    assert load(Key(1)) == 1
    go.set()
    thread.join(LONGEST_S)
    assert load(Key(2)) == 2


@pytest.mark.parametrize("settings", [{"ttl": 0}, {"ttl": -1}, {"ttl": 0, "jitter": 0}, {"ttl": -1, "jitter": 0.5}])
def test_with_a_ttl_of_nothing_a_load_is_shared_and_not_kept(settings):
    loads = []

    @alru_cache(**settings)
    async def load(x):
        loads.append(x)
        await asyncio.sleep(0)
        return len(loads)

    async def main():
        assert await asyncio.gather(load(1), load(1)) == [1, 1]
        assert await load(1) == 2 and load.cache_info().maxsize == 128

    asyncio.run(main())


def test_a_maxsize_of_true_is_one():
    @alru_cache(maxsize=True)
    async def load(x):
        return x

    async def main():
        await load(1), await load(2), await load(2)
        assert load.cache_info() == (1, 2, True, 1) and load.cache_parameters()["maxsize"] is True

    asyncio.run(main())


@pytest.mark.parametrize("ttl", [timedelta(minutes=5), "5m"])
def test_a_jitter_is_added_to_a_ttl_however_it_is_written(ttl):
    @alru_cache(ttl=ttl, jitter=1)
    async def load(x):
        return x

    assert asyncio.run(load(1)) == 1


def test_cached_functions_are_what_functools_has_for_isinstance():
    import functools as theirs

    class Derived(type(functools.lru_cache(len))):
        pass

    for made in (functools.lru_cache(maxsize=2)(len), functools.cache(len), lru_cache(len)):
        assert isinstance(made, theirs._lru_cache_wrapper) and isinstance(made, functools._lru_cache_wrapper)
        assert isinstance(made.cache_info(), theirs._CacheInfo) and isinstance(made.cache_info(), functools._CacheInfo)
        assert repr(made.cache_info()).startswith("CacheInfo(hits=0, misses=0, ")
        assert pickle.loads(pickle.dumps(made.cache_info())) == made.cache_info()
        assert isinstance(made, type(made)) and type(made).__module__ == "tierce._tierce"
    assert Derived(len, 5, False, tuple).__class__ is Derived
