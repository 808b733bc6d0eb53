"""Faults of other packages, and of redis-py used by hand, that were seen there: a test each, that it is none here."""

import asyncio
import os
import pickle
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from servers import Redis
from waiting import until

from tierce import CycleError, Hub, cached, memo


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    made = Redis(tmp_path_factory.mktemp("redis"))
    yield made
    made.kill()


@pytest.fixture
def mortal(tmp_path):
    """One that a test may kill or freeze."""
    made = Redis(tmp_path)
    yield made
    made.kill()


_spaces = iter(range(1_000_000))


@pytest.fixture
def hubs(redis):
    """Makes hubs as of several processes: with one store and namespace, each with a memory of its own."""
    namespace = f"p{os.getpid()}-{next(_spaces)}"

    def made():
        # Of no busy machine: what is looked at here is not what a late answer costs.
        return Hub(redis.url, namespace=namespace, store_budget="20s")

    made.namespace = namespace
    return made


async def awaited(change):
    """asyncio.run of 3.11 takes coroutines alone, by type."""
    return await change


# --- aiocache -------------------------------------------------------------------------------------


def test_aiocache_calls_the_function_for_each_of_those_who_ask_at_once(hubs):
    calls = []

    @hubs().cached(key="page:{x}")
    async def page(x) -> int:
        calls.append(x)
        await asyncio.sleep(0.01)
        return x

    async def main():
        assert await asyncio.gather(*[page(7) for _ in range(100)]) == [7] * 100

    asyncio.run(main())
    assert calls == [7]


def test_aiocache_never_keeps_none(hubs):
    calls = []

    @hubs().cached(key="nobody:{x}")
    async def nobody(x) -> str | None:
        calls.append(x)
        return None

    async def main():
        assert [await nobody(1) for _ in range(5)] == [None] * 5

    asyncio.run(main())
    assert calls == [1]


def test_aiocache_fails_the_call_when_redis_is_away(mortal):
    @Hub(mortal.url).cached(key="page:{x}")
    async def page(x) -> int:
        return x

    async def main():
        assert await page(1) == 1
        mortal.kill()
        assert [await page(x) for x in range(100)] == list(range(100))

    asyncio.run(main())


def test_aiocache_keeps_everything_in_memory():
    @Hub().cached(key="page:{x}", maxsize=10)
    async def page(x) -> int:
        return x

    async def main():
        for x in range(1000):
            await page(x)

    asyncio.run(main())
    assert page.stats().entries <= 10


def test_aiocache_is_of_the_event_loop_that_used_it_first(hubs):
    calls = []

    @hubs().cached(key="page:{x}", maxsize=1)
    async def page(x) -> int:
        calls.append(x)
        return x

    for _ in range(3):
        assert asyncio.run(awaited(page(1))) == 1
        assert asyncio.run(awaited(page(2))) == 2
    assert calls == [1, 2]


ran = []


class Bomb:
    def __reduce__(self):
        return ran.append, ("read",)


def test_aiocache_and_cashews_run_what_stands_in_the_store(hubs):
    hub = hubs()

    @hub.cached(key="page:{x}", maxsize=1)
    async def page(x) -> int:
        return x

    async def main():
        assert [await page(1), await page(2)] == [1, 2]
        # Where docs/wire.md says that the entry stands.
        assert await hub.command("SET", f"{{{hubs.namespace}:page:1:1}}", pickle.dumps(Bomb()), "XX") == "OK"
        assert await page(1) == 1

    asyncio.run(main())
    assert ran == []


# --- cashews, cachebox ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cached", "memo"])
def test_cashews_and_cachebox_cancel_those_who_wait_with_the_first_caller(hubs, kind):
    calls, go = [], None

    async def page(x) -> int:
        calls.append(x)
        await go.wait()
        return x

    page = hubs().cached(key="page:{x}")(page) if kind == "cached" else memo(page)

    async def main():
        nonlocal go
        go = asyncio.Event()
        first, second = asyncio.create_task(page(1)), asyncio.create_task(page(1))
        while not calls:
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go.set()
        assert await second == 1

    asyncio.run(main())
    assert calls == [1]


@pytest.mark.parametrize("tag", ["a:b", "{x}", "a*", "[a]", "\\", "tag with spaces\r\n", "ключ"])
def test_cashews_takes_characters_of_tags_for_its_own(hubs, tag):
    first, second = (hub.cache("page", int) for hub in (hubs(), hubs()))
    hub = hubs()

    async def main():
        await first.set(1, 1, tags=[tag])
        await first.set(2, 2, tags=["ax"])
        assert await second.get_many([1, 2]) == {1: 1, 2: 2}
        await hub.invalidate_tag(tag)
        while await second.get(1) is not None:
            await asyncio.sleep(0.001)
        assert await first.get_many([1, 2]) == {2: 2}

    asyncio.run(main())


def test_cashews_keeps_a_set_of_all_members_for_each_tag(hubs):
    hub = hubs()
    pages = hub.cache("page", int)

    async def main():
        for key in range(100):
            await pages.set(key, key, tags=["pages"])
            await pages.invalidate(key)
        names = [name for name in await hub.command("KEYS", "*") if b"pages" in name]
        assert all([await hub.command("TYPE", name) == "string" for name in names]) and len(names) == 1

    asyncio.run(main())


def test_cachebox_hangs_when_a_function_asks_for_its_own_key(hubs):
    hub = hubs()

    @hub.cached(key="fibonacci:{n}")
    async def fibonacci(n) -> int:
        return n if n < 2 else await fibonacci(n - 1) + await fibonacci(n - 2)

    @Hub().cached(key="circle:{n}")
    def circle(n) -> int:
        return circle(n)

    assert asyncio.run(awaited(fibonacci(20))) == 6765
    with pytest.raises(CycleError):
        circle(1)


def test_cachebox_keeps_an_exception(hubs):
    calls = []

    @hubs().cached(key="page:{x}")
    def page(x) -> int:
        calls.append(x)
        if len(calls) == 1:
            raise LookupError(x)
        return x

    with pytest.raises(LookupError):
        page(1)
    assert page(1) == 1 == page(1) and len(calls) == 2


# --- redis-py -------------------------------------------------------------------------------------


def test_redis_py_waits_five_seconds_for_a_server_that_hangs(mortal):
    @Hub(mortal.url).cached(key="page:{x}")
    def page(x) -> int:
        return x

    page(0)
    mortal.freeze()
    took = []
    for x in range(1, 6):
        began = time.monotonic()
        assert page(x) == x
        took.append(time.monotonic() - began)
    mortal.thaw()
    # 50 ms are the store's; the rest is this machine's.
    assert min(took) < 0.06, took


def test_redis_py_opens_a_connection_for_each_of_those_who_ask_at_once(mortal):
    @Hub(mortal.url).cached(key="page:{x}", maxsize=1)
    async def page(x) -> int:
        return x

    async def main():
        for _ in range(3):
            await asyncio.gather(*[page(x) for x in range(200)])
        assert mortal.ask("CLIENT", "LIST").count(b"name=tierce") == 1

    asyncio.run(main())


@pytest.mark.parametrize("value", [None, 0, False, "", [], {}, 0.0, b""], ids=repr)
def test_by_hand_a_value_that_is_false_is_a_miss(hubs, value):
    calls = []

    def made(hub):
        @hub.cached(key="page:{x}")
        async def page(x):
            calls.append(x)
            return value

        return page

    first, second = made(hubs()), made(hubs())

    async def main():
        for page in (first, second) * 3:
            found = await page(1)
            assert found == value and type(found) is type(value)

    asyncio.run(main())
    assert calls == [1]


@dataclass
class Order:
    id: UUID
    price: Decimal
    at: datetime
    parts: tuple[int, ...]
    counts: dict[int, str] = field(default_factory=dict)
    raw: bytes = b""


def test_by_hand_a_hit_has_other_types_than_the_miss(hubs):
    def made(hub):
        @hub.cached(key="order:{x}")
        def order(x) -> Order:
            calls.append(x)
            return Order(UUID(int=x), Decimal("1.10"), datetime.now(timezone.utc), (1, 2), {1: "a"}, b"\xff")

        return order

    calls = []
    first, second = made(hubs()), made(hubs())
    loaded, hit = first(1), second(1)
    assert hit == loaded and hit is not loaded and calls == [1]
    assert [type(part) for part in vars(hit).values()] == [type(part) for part in vars(loaded).values()]


def test_by_hand_a_batch_stores_nothing_and_loses_its_order(hubs):
    asked = []

    async def load(ids):
        asked.append(ids)
        return {one: f"user {one}" for one in reversed(ids) if one != 99}

    first, second = (hub.cache("user", str) for hub in (hubs(), hubs()))

    async def main():
        await first.set(0, "user 0")
        found = await first.get_many([2, 0, 99, 2, 1], load)
        assert list(found.items()) == [(2, "user 2"), (0, "user 0"), (1, "user 1")]
        assert asked == [[2, 99, 1]]
        assert await first.get_many([2, 0, 99, 1], load) == found == await second.get_many([2, 0, 1], load)
        assert len(asked) == 1

    asyncio.run(main())


def test_by_hand_a_load_puts_back_what_was_deleted_meanwhile(hubs):
    database, reading, go = {1: "old"}, threading.Event(), threading.Event()

    def made(hub):
        @hub.cached(key="row:{x}")
        def row(x) -> str:
            found = database[x]
            reading.set()
            assert go.wait(30)
            return found

        return row

    reader, writer = made(hubs()), made(hubs())
    found = []
    thread = threading.Thread(target=lambda: found.append(reader(1)), daemon=True)
    thread.start()
    assert reading.wait(30)
    database[1] = "new"
    writer.invalidate(1)
    go.set()
    thread.join(30)
    # He asked before the change. Who asks now does not.
    assert found == ["old"] and writer(1) == "new"
    until(lambda: reader(1) == "new")


def test_by_hand_an_id_acts_as_a_pattern(hubs):
    pages = hubs().cache("page", int).blocking
    pages.set_many({"*": 1, "a": 2, "a*": 3, "[a]": 4, "a:b": 5})
    pages.invalidate("*")
    pages.invalidate("[a]")
    assert pages.get_many(["*", "a", "a*", "[a]", "a:b"]) == {"a": 2, "a*": 3, "a:b": 5}


# --- keys of decorators ---------------------------------------------------------------------------


def test_a_decorator_by_hand_gives_one_key_to_arguments_of_several_types(hubs):
    hub = hubs()

    @hub.cached(key="kind:{x}:{y}")
    def kind(x, y) -> str:
        return repr((x, y))

    for arguments in [(1, 2), ("1", 2), (True, 2), (1.0, 2), (None, "null"), ("null", None), ("a:b", "c"), ("a", "b:c")]:
        assert kind(*arguments) == repr(arguments)
        assert kind(*arguments) == repr(arguments)
    for unfit in (Decimal(1), [1, 2], {1: 2}, datetime.now(), object()):
        with pytest.raises(TypeError, match="no place in a key"):
            kind(unfit, 1)


def test_a_decorator_by_hand_puts_addresses_of_instances_into_keys():
    class Shop:
        @cached(hub=Hub())
        async def price(self, x) -> int:
            return x

    with pytest.raises(TypeError, match="no place in a key"):
        asyncio.run(awaited(Shop().price(1)))


def test_a_decorator_by_hand_gives_two_functions_of_one_name_one_value(hubs):
    def of(module):
        @hub.cached
        def get(x) -> str:
            return module

        return get

    hub = Hub()
    orders, users = of("orders"), of("users")
    assert (orders(1), users(1), orders(1)) == ("orders", "users", "orders")
    # With a store, where the order in which they are made would decide, it says so.
    hub = hubs()
    with pytest.raises(ValueError, match="needs a name of its own"):
        of("orders")


# --- fastapi-cache2 -------------------------------------------------------------------------------


def test_fastapi_cache2_gives_the_feed_of_one_user_to_another(hubs):
    hub = hubs()

    @hub.cached(key="feed:{user_id}")
    async def feed(user_id: int) -> str:
        return f"feed of {user_id}"

    async def main():
        assert [await feed(1), await feed(2), await feed(1)] == ["feed of 1", "feed of 2", "feed of 1"]

    asyncio.run(main())
    # Who is meant has to be an argument: a key that cannot find it is none.
    with pytest.raises(ValueError, match="current_user"):

        @hub.cached(key="own:{current_user}")
        async def own(user) -> str: ...


def test_fastapi_cache2_reads_data_as_instructions(hubs):
    value = {"_spec_type": "datetime", "val": "not a date"}
    first, second = (hub.cache("page", dict).blocking for hub in (hubs(), hubs()))
    first.set(1, value)
    assert second.get(1) == value
