"""What is measured."""

import asyncio
import gc
import itertools
import resource
import subprocess
import sys
import threading
import time

from . import contenders, stores, values


class Case:
    def __init__(self, subject, name, what, count, contenders, unit="ns", slower=None):
        self.subject = subject
        self.name = name
        self.what = what
        self.count = count
        self.contenders = contenders
        self.unit = unit
        # What takes a hundred times as long is asked a smaller number of times.
        self.slower = slower or {}


SIZE = 1024


def loop(statement, **names):
    """A function that runs a statement so many times."""
    source = f"def run(n):\n    for i in range(n):\n        {statement}"
    exec(source, names)
    return names["run"]


def plain(decorators, statement, function=lambda *args, **named: 1, warm=None, **names):
    """One loop for each decorator, with `f` the decorated function, and an empty one."""

    def make(decorate):
        f = decorate(function)
        if warm:
            warm(f)
        return loop(statement, f=f, **names)

    found = {name: (lambda d=decorate: make(d)) for name, decorate in decorators.items()}
    found[""] = lambda: loop("pass")
    return found


def one_argument(x):
    return x


def mixed_arguments(x, y, z):
    return x


WORDS = [f"key-{number}" for number in range(512)]
OTHER_WORDS = ["".join(list(word)) for word in WORDS]


def each(keys):
    return lambda f: [f(key) for key in keys]


def methods(decorators):
    def make(decorate):
        kind = type("Kind", (), {"method": decorate(lambda self, x: x)})
        return loop("it.method(1)", it=kind())

    found = {name: (lambda d=decorate: make(d)) for name, decorate in decorators.items() if name != "cachekit"}
    found[""] = lambda: loop("pass")
    return found


def misses(decorators):
    def make(decorate):
        f = decorate(one_argument)
        state = {"next": 0}

        def run(n):
            begin = state["next"]
            state["next"] += n
            for i in range(begin, begin + n):
                f(i)

        return run

    found = {name: (lambda d=decorate: make(d)) for name, decorate in decorators.items()}

    # The loop, and the function itself, are nobody's cost.
    def bare():
        def run(n):
            for i in range(n):
                one_argument(i)

        return run

    found[""] = bare
    return found


def four_threads(decorators):
    def make(decorate):
        f = decorate(one_argument)
        each(range(512))(f)
        run = loop("f(i & 511)", f=f)

        def threads(n):
            all_ = [threading.Thread(target=run, args=(n // 4,)) for _ in range(4)]
            begin = time.process_time_ns()
            for thread in all_:
                thread.start()
            for thread in all_:
                thread.join()
            return time.process_time_ns() - begin

        return threads

    return {name: (lambda d=decorate: make(d)) for name, decorate in decorators.items()}


def awaited(decorators, distinct):
    async def function(x):
        return x

    def make(decorate):
        f = decorate(function)
        state = {"next": 0}
        # One loop for all of a contender's rounds, since some bind what they keep to it.
        event_loop = asyncio.new_event_loop()

        async def hits(n):
            await f(42)
            begin = time.process_time_ns()
            for _ in range(n):
                await f(42)
            return time.process_time_ns() - begin

        async def new_ones(n):
            begin, first = time.process_time_ns(), state["next"]
            state["next"] += n
            for x in range(first, first + n):
                await f(x)
            return time.process_time_ns() - begin

        return lambda n: event_loop.run_until_complete((new_ones if distinct else hits)(n))

    found = {name: (lambda d=decorate: make(d)) for name, decorate in decorators.items()}
    found["bare async def"] = lambda: make(lambda f: f)

    def empty():
        def run(n):
            begin = time.process_time_ns()
            for _ in range(n):
                pass
            return time.process_time_ns() - begin

        return run

    found[""] = empty
    return found


def waited_for(decorators):
    """Thousands of callers of one load, which waits itself."""

    async def function(x):
        await asyncio.sleep(0)
        return x

    def make(decorate):
        f = decorate(function)
        event_loop, keys = asyncio.new_event_loop(), itertools.count()

        async def run(n):
            begin, x = time.process_time_ns(), next(keys)
            await asyncio.gather(*[f(x) for _ in range(n)])
            return time.process_time_ns() - begin

        return lambda n: event_loop.run_until_complete(run(n))

    return {name: (lambda d=decorate: make(d)) for name, decorate in decorators.items()}


def memory(decorators):
    """Each contender in a process of its own, since memory that one gives back is what the next one takes."""

    def make(name):
        def bytes_per_entry(n):
            code = f"from bench.cases import resident_bytes_per_entry as measure; print(measure({name!r}, {n}))"
            return float(subprocess.check_output([sys.executable, "-c", code], stderr=subprocess.DEVNULL))

        return lambda: bytes_per_entry

    return {name: make(name) for name in decorators if name != "cachekit"}


def resident_bytes_per_entry(name, count):
    """How much a process grows by an entry, key and value included: each an `int` of its own."""
    f = contenders.lru(count)[name](lambda x: x + 1)
    f(0)
    gc.collect()
    before = resident_bytes()
    for number in range(1_000_000, 1_000_000 + count):
        f(number)
    gc.collect()
    return (resident_bytes() - before) / count


def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


SLOW = {"theine": 10, "cachekit": 50, "aiocache": 100, "cashews": 100, "async_lru": 5, "cachebox": 5, "cachetools": 5, "pickle": 2, "json": 2}

SLOW_STORES = {
    name + loop: 5
    for loop in ("", " uvloop")
    for name in ("redis-py GET", "redis-py GET and json", "guide's decorator", "aiocache", "cashews", "aiomcache GET")
}

ALL = [
    Case("lru", "lru_hit_int", "f(1), 1 of 1", 300_000, lambda: plain(contenders.lru(SIZE), "f(1)", one_argument), slower=SLOW),
    Case("lru", "lru_hit_str", 'f("key"), the same object', 300_000, lambda: plain(contenders.lru(SIZE), "f('key')", one_argument), slower=SLOW),
    Case(
        "lru", "lru_hit_mixed", 'f(1, "abc", z=3)', 300_000,
        lambda: plain(contenders.lru(SIZE), "f(1, 'abc', z=3)", mixed_arguments), slower=SLOW,
    ),
    Case("lru", "lru_hit_method", "it.method(1)", 300_000, lambda: methods(contenders.lru(SIZE)), slower=SLOW),
    Case("lru", "lru_miss_evict", "f(i), each i once; one goes for each that comes", 200_000, lambda: misses(contenders.lru(SIZE)), slower=SLOW),
    Case("lru", "lru_hit_4_threads", "f(i & 511) in 4 threads at once", 400_000, lambda: four_threads(contenders.lru(SIZE)), slower=SLOW),
    Case(
        "lru", "lru_hit_ints", "f(i & 511)", 300_000,
        lambda: plain(contenders.lru(SIZE), "f(i & 511)", one_argument, each(range(512))), slower=SLOW,
    ),
    Case(
        "lru", "lru_hit_strs", "512 strings, equal to the keys and not the same objects", 300_000,
        lambda: plain(contenders.lru(SIZE), "f(words[i & 511])", one_argument, each(WORDS), words=OTHER_WORDS), slower=SLOW,
    ),
    Case("async", "async_hit", "await f(42)", 200_000, lambda: awaited(contenders.asynchronous(SIZE), False), slower=SLOW),
    Case("async", "async_miss", "await f(i), each i once", 20_000, lambda: awaited(contenders.asynchronous(SIZE), True), slower={"aiocache": 5, "cashews": 5}),
    Case("cached", "cached_hit", "await f(42), with two tags; memo has none", 200_000, lambda: awaited(contenders.shared(SIZE), False), slower=SLOW),
    Case("cached", "cached_miss", "await f(i), each i once, with two tags; memo has none", 20_000, lambda: awaited(contenders.shared(SIZE), True), slower={"aiocache": 5, "cashews": 5}),
    Case("cached", "cached_waiters", "20,000 callers of one load, with two tags; memo has none", 20_000, lambda: waited_for(contenders.shared(SIZE)), slower={"aiocache": 5, "cashews": 5}),
    Case("ttl", "ttl_hit", "f(1), kept for 5 minutes (functools: for ever)", 300_000, lambda: plain(contenders.ttl(SIZE), "f(1)", one_argument), slower=SLOW),
    Case("values", "values_pack_dict", "a dict of some 230 bytes", 100_000, lambda: values.packing(values.of_dicts(), values.DICT, loop), slower=SLOW),
    Case("values", "values_unpack_dict", "the same back", 100_000, lambda: values.unpacking(values.of_dicts(), values.DICT, loop), slower=SLOW),
    Case("values", "values_pack_dataclass", "a dataclass in a dataclass, some 230 bytes", 100_000, lambda: values.packing(values.of_dataclasses(), values.PRODUCT, loop), slower=SLOW),
    Case("values", "values_unpack_dataclass", "the same back", 100_000, lambda: values.unpacking(values.of_dataclasses(), values.PRODUCT, loop), slower=SLOW),
    Case("stores", "redis_seq", "a hit in Redis, one after the other; redis-py decodes nothing", 2_000, lambda: stores.asked(stores.raw(), 1)),
    Case("stores", "redis_100", "the same by 100 tasks", 20_000, lambda: stores.asked(stores.raw(), stores.TASKS), slower=SLOW_STORES),
    Case("stores", "memcached_100", "a hit in Memcached by 100 tasks", 20_000, lambda: stores.asked(stores.memcached(), stores.TASKS), slower=SLOW_STORES),
    Case("stores", "decorator_seq", "a hit in Redis with decoding", 1_000, lambda: stores.asked(stores.decorators(), 1)),
    Case("stores", "decorator_100", "the same by 100 tasks", 20_000, lambda: stores.asked(stores.decorators(), stores.TASKS), slower=SLOW_STORES),
    Case("stores", "batch_100", "100 ids in one call, all of them in Redis", 100, lambda: stores.asked(stores.batches(), 1)),
    Case("memory", "memory_per_entry", "an int to another int, 300,000 entries; resident memory", 300_000, lambda: memory(contenders.lru(SIZE)), "bytes"),
]  # fmt: skip
