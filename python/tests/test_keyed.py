"""Caches by name, and what can be said to cached functions beside calling them: here, in a store, on loops and without."""

import asyncio
import os
import threading

import pytest
from servers import Memcached, Redis

from tierce import ANY, CycleError, Hub, Like, StoreError, cached

KINDS = {"none": None, "redis": Redis, "memcached": Memcached}


@pytest.fixture(scope="module", params=KINDS)
def url(request, tmp_path_factory):
    kind = KINDS[request.param]
    if kind is None:
        yield None
        return
    made = kind(tmp_path_factory.mktemp(request.param))
    yield made.url
    made.kill()


_spaces = iter(range(1_000_000))


@pytest.fixture
def hub(url):
    # A busy machine is late with an answer: what is tried here is not how soon it comes.
    return Hub(url, namespace=f"k{os.getpid()}-{next(_spaces)}", store_budget="10s")


def run(main):
    return asyncio.run(main())


async def until_told(hub):
    """Waits until a store that tells of changes does: what is read before that is forgotten once more."""
    while (said := hub.health()) and "memory" in said and "not coherent" in said:
        await hub.cache("any").get(0)
        await asyncio.sleep(0.001)


def test_what_is_set_is_there_until_it_is_ended(hub):
    carts = hub.cache("cart", dict, tags=["carts"])

    async def main():
        assert await carts.get(7) is None and await carts.get(7, default=0) == 0
        await carts.set(7, {"lamp": 2}, tags=["user:7"])
        await carts.set("7", {"lamp": 3})
        assert await carts.get(7) == {"lamp": 2} and await carts.get("7") == {"lamp": 3}
        await hub.invalidate_tag("user:7")
        assert await carts.get(7) is None and await carts.get("7") == {"lamp": 3}
        await hub.invalidate_tag("carts")
        assert await carts.get("7") is None
        await carts.set_many({1: {"a": 1}, 2: {"b": 2}})
        assert await carts.get_many([2, 1, 3]) == {2: {"b": 2}, 1: {"a": 1}}
        await carts.invalidate_many([1, 3])
        assert list(await carts.get_many([1, 2])) == [2]
        await carts.invalidate(2)
        assert await carts.get_many([1, 2, 3]) == {}
        await carts.set(5, {})
        await carts.clear()
        assert await carts.get(5) is None

    run(main)


def test_one_load_for_all_who_ask_by_whatever_loader(hub):
    pages, calls = hub.cache("page", str), []

    async def load(key):
        calls.append(key)
        await asyncio.sleep(0)
        return f"page of {key[1]}"

    async def main():
        found = await asyncio.gather(*[pages.get_or_load(("en", 3), load, tags=["en"]) for _ in range(100)])
        assert set(found) == {"page of 3"} and calls == [("en", 3)]
        await hub.invalidate_tag("en")
        assert await pages.get(("en", 3)) is None
        with pytest.raises(TypeError, match="no function that loads"):
            pages.get_or_load(1, None)

    run(main)


def test_a_batch_is_loaded_at_once_and_each_of_it_is_an_entry_of_its_own(hub):
    calls = []

    @hub.cached(key="product:{product_id}", tags=["products", "product:{product_id}", "shelf:{result[shelf]}"])
    async def product(product_id: int) -> dict:
        return {"id": product_id, "shelf": 9, "alone": True}

    async def load(ids):
        calls.append(ids)
        await asyncio.sleep(0)
        return {one: {"id": one, "shelf": one % 2} for one in ids if one < 100}

    async def main():
        # A tag that no store has seen keeps nothing at first: it may have been invalidated meanwhile.
        seen = -1
        while len(calls) != seen:
            seen = len(calls)
            await product.get_many([1, 2, 3], load)
            await product(100)
        await product.invalidate(100)
        calls.clear()
        await product.clear()
        found = await product.get_many([3, 1, 2, 3, 100], load)
        assert list(found) == [3, 1, 2] and found[1] == {"id": 1, "shelf": 1}
        assert calls == [[3, 1, 2, 100]]
        assert (await product.get_many([1, 2], load)) == {1: found[1], 2: found[2]}
        assert len(calls) == 1 and await product(1) == found[1]
        await hub.invalidate_tag("shelf:1")
        assert list(await product.get_many([1, 2, 3])) == [2]
        await hub.invalidate_tag("product:2")
        assert await product.get_many([1, 2, 3]) == {}
        # Known to be missing to batches; a call of one asks the function, which says best what is so then.
        assert await product.get_many([100], load) == {} and len(calls) == 1
        assert await product(100) == {"id": 100, "shelf": 9, "alone": True}
        assert await product.get(100) == {"id": 100, "shelf": 9, "alone": True}

    run(main)


def test_a_batch_that_fails_says_why_and_pairs_are_taken_too(hub):
    names = hub.cache("name", str)

    async def broken(ids):
        raise LookupError(f"no {ids}")

    async def pairs(ids):
        return [(one, str(one)) for one in ids]

    async def wrong(ids):
        return 5

    async def main():
        with pytest.raises(LookupError, match=r"no \[1, 2\]"):
            await names.get_many([1, 2], broken)
        assert await names.get_many([1, 2], pairs) == {1: "1", 2: "2"}
        with pytest.raises(TypeError):
            await names.get_many([3], wrong)
        with pytest.raises(TypeError, match="no place in a key"):
            await names.get_many([object()], pairs)

    run(main)


def test_a_batch_that_asks_for_what_it_loads_is_a_circle(hub):
    names = hub.cache("circle", str)

    async def load(ids):
        await names.get_many(ids, load)
        return {}

    async def main():
        with pytest.raises(CycleError):
            await asyncio.wait_for(names.get_many([1, 2], load), 20)

    run(main)


def test_a_hold_keeps_what_is_loaded_meanwhile_out(hub, url):
    source = {1: "old"}

    @hub.cached(key="row:{x}")
    async def row(x) -> str:
        return source[x]

    async def main():
        assert await row(1) == "old"
        async with row.hold(1) as hold:
            source[1] = "new"
            assert await row(1) == "old"
            # With a store it goes, and is loaded: nobody else may be told of a value that a store has not ordered.
            assert await hold.set("new") is (url is None)
            with pytest.raises(TypeError, match="has ended"):
                hold.unchanged()
        assert await row(1) == "new"
        async with row.hold(1) as hold:
            await hold.unchanged()
        assert await row(1) == "new"
        with pytest.raises(ZeroDivisionError):
            async with row.hold(1):
                source[1] = "newer"
                raise ZeroDivisionError
        assert await row(1) == "newer"

        async def write():
            source[1] = "newest"
            return "newest"

        assert await row.set_through(write, 1) == "newest" == await row(1)

        async def fails():
            source[1] = "who knows"
            raise OSError

        with pytest.raises(OSError):
            await row.set_through(fails, 1)
        assert await row(1) == "who knows"

    run(main)


def test_stale_touched_explained(hub):
    calls = []

    @hub.cached(key="e:{x}", ttl="10m", stale="10m")
    async def function(x) -> int:
        calls.append(x)
        return len(calls)

    async def main():
        assert "memory: nothing" in await function.explain(1)
        assert await function.touch(1) is False
        assert await function(1) == 1
        assert await function.touch(1) is True
        said = await function.explain(1)
        assert "a value" in said and "load: none" in said
        await function.mark_stale(1)
        # Served once more, and loaded behind.
        assert await function(1) == 1
        while await function(1) != 2:
            await asyncio.sleep(0)

    run(main)


def test_keys_that_look_alike_are_ended(hub, url):
    pages, paths = hub.cache("page", int), hub.cache("path", int)

    @hub.cached(key="greeting:{language}:{user}")
    async def greeting(language, user) -> str:
        return f"{language} {user}"

    async def main():
        await pages.set_many({("en", 1): 1, ("en", 2): 2, ("de", 1): 3})
        await paths.set_many({"/shop/lamps": 1, "/shop/chairs": 2, "/about": 3})
        await greeting("en", 1), await greeting("de", 1), await greeting("de", 2)
        if url and url.startswith("memcached"):
            with pytest.raises(StoreError):
                await pages.invalidate_matching(("en", ANY))
            return
        assert await pages.invalidate_matching(("en", ANY)) == 2
        assert list(await pages.get_many([("en", 1), ("en", 2), ("de", 1)])) == [("de", 1)]
        assert await paths.invalidate_matching(Like("/shop/*")) == 2
        assert list(await paths.get_many(["/shop/lamps", "/about"])) == ["/about"]
        assert await greeting.invalidate_matching("de", ANY) == 2
        assert await greeting.get("en", 1) == "en 1" and await greeting.get("de", 1) is None

    run(main)


def test_plain_code_has_the_same_verbs_and_waits(hub, url):
    calls = []

    @hub.cached(key="product:{x}", tags=["products"])
    async def product(x) -> int:
        return x

    @hub.cached(key="plain:{x}", tags=["products"])
    def plain(x) -> int:
        calls.append(x)
        return x * 2

    carts = hub.cache("cart", dict)

    product.blocking.set(5, 5)
    assert product.blocking.get(5) == 5 and product.blocking(5) == 5
    product.blocking.invalidate(5)
    with pytest.raises(TypeError, match="needs an event loop"):
        product.blocking(5)
    carts.blocking.set(1, {"a": 1})
    assert carts.blocking.get_many([1, 2]) == {1: {"a": 1}}
    assert carts.blocking.get_or_load(3, lambda key: {"key": key}) == {"key": 3}
    assert carts.blocking.get_many([3, 4], lambda ids: {one: {"many": one} for one in ids}) == {3: {"key": 3}, 4: {"many": 4}}
    assert plain.get_many([1, 2], lambda ids: [(one, -one) for one in ids]) == {1: -1, 2: -2}
    assert plain(1) == -1 and plain(9) == 18
    hub.blocking.invalidate_tag("products")
    assert plain.get(9) is None and plain(1) == 2 and calls == [9, 1]
    with plain.hold(1) as hold:
        assert hold.set(2) is (url is None)
    assert plain(1) == 2
    assert plain.set_through(lambda: 2, 1) == 2 == plain(1)
    assert carts.blocking.set_through(1, lambda: {"b": 2}) == {"b": 2}
    assert carts.blocking.get(1) == (None if url else {"b": 2})
    with carts.blocking.hold(1) as hold:
        hold.invalidate()
    assert carts.blocking.get(1) is None
    assert "memory" in plain.explain(1) and plain.touch(1) is True
    plain.mark_stale(1)
    assert plain.get(1) is None
    hub.blocking.purge()
    assert plain.get(9) is None and hub.blocking.close() == 0


def test_plain_code_waits_beside_a_loop_that_runs(hub):
    @hub.cached(key="beside:{x}")
    def plain(x) -> int:
        return x

    carts = hub.cache("cart", dict)

    async def main():
        # On the loop's own thread, as sync code that async code calls does.
        assert plain(1) == 1
        carts.blocking.set(1, {"x": 1})
        assert await carts.get(1) == {"x": 1} == carts.blocking.get(1)
        assert await asyncio.to_thread(plain, 2) == 2

    run(main)


def test_a_method_has_the_verbs_for_its_instance(hub):
    class Shop:
        def __init__(self, name):
            self.name = name

        @hub.cached(key="stock:{name}:{x}")
        async def stock_of(self, name, x) -> int:
            return x

        @hub.cached(key="shelf:{x}")
        async def shelf(self, x) -> str:
            return f"{self.name} {x}"

    shop = Shop("a")

    async def main():
        assert await shop.shelf(1) == "a 1" == await shop.shelf.get(1)
        await shop.shelf.mark_stale(1)
        assert await shop.shelf.get(1) is None
        async with shop.shelf.hold(1) as hold:
            await hold.set("a 1")
        assert await shop.shelf(1) == "a 1" == shop.shelf.blocking.get(1) == shop.shelf.blocking(1)

    run(main)


def test_one_name_is_one_cache_and_settings_are_looked_at(hub):
    carts = hub.cache("cart", dict, ttl="1h")
    assert repr(carts) == "<KeyedCache 'cart'>"
    with pytest.raises(TypeError, match="no setting 'tll'"):
        hub.cache("other", tll="1h")
    with pytest.raises(ValueError, match="name"):
        hub.cache("not a name")
    with pytest.raises(TypeError, match="version"):
        cached(version="2", hub=hub)(len)
    with pytest.raises(TypeError, match="SignedPickle"):
        cached(codec="pickle", hub=hub)(len)


def test_commands_and_what_servers_say(hub, url):
    async def main():
        if url is None:
            with pytest.raises(ValueError, match="no store"):
                await hub.info()
            with pytest.raises(ValueError, match="no store"):
                await hub.command("GET", "x")
            assert hub.health() is None
            return
        (server,) = await hub.info()
        assert server.address and server.facts and "asked" in hub.health()
        assert hub.blocking.info()[0].address == server.address
        if url.startswith("memcached"):
            with pytest.raises(ValueError, match="no Redis"):
                await hub.command("GET", "x")
            return
        assert await hub.command("SET", "own", b"\xff") == "OK"
        assert await hub.command("GET", "own") == b"\xff"
        assert await hub.command("INCRBY", "count", 5) == 5
        assert hub.blocking.command("GETDEL", "count") == b"5"
        assert await hub.command("MGET", "own", "nothing") == [b"\xff", None]
        assert isinstance(await hub.command("HGETALL", "nothing"), dict)
        with pytest.raises(StoreError, match="ERR"):
            await hub.command("NOSUCHCOMMAND")
        with pytest.raises(ValueError, match="a client of your own"):
            await hub.command("SUBSCRIBE", "x")
        with pytest.raises(TypeError, match="part of a command"):
            hub.command("SET", "own", None)

    run(main)


def test_threads_that_wait_and_loops_share_one_load(hub):
    calls, begin = [], threading.Barrier(8)

    @hub.cached(key="shared:{x}")
    def plain(x) -> int:
        calls.append(x)
        return x

    found = []

    def ask():
        begin.wait()
        found.extend(plain(key) for key in range(50))

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [*range(50)] * 8 or sorted(found) == sorted([*range(50)] * 8)
    assert sorted(calls) == [*range(50)]


def test_a_batch_whose_ids_have_tags_of_their_own_is_loaded_once(hub, url):
    calls = []

    @hub.cached(key="of:{x}", tags=["of:{x}"])
    async def of(x) -> int:
        return x

    async def load(ids):
        calls.append(ids)
        return {one: one for one in ids}

    async def main():
        await until_told(hub)
        for _ in range(3):
            assert await of.get_many([1, 2, 3], load) == {1: 1, 2: 2, 3: 3}
        assert calls == [[1, 2, 3]]
        await hub.invalidate_tag("of:2")
        assert await of.get_many([1, 2, 3], load) == {1: 1, 2: 2, 3: 3}
        assert calls == [[1, 2, 3], [2]]

    run(main)


def test_a_tag_that_a_result_alone_shows_costs_its_first_load_and_no_more(hub, url):
    calls = []

    @hub.cached(key="shown:{x}", tags=["shown:{result}"])
    async def shown(x) -> int:
        calls.append(x)
        return x

    async def main():
        await until_told(hub)
        for _ in range(4):
            assert await shown(1) == 1
        # With a store nobody knows what the tag was at before the first load.
        assert len(calls) == (1 if url is None else 2)
        await hub.invalidate_tag("shown:1")
        for _ in range(3):
            assert await shown(1) == 1
        assert len(calls) == (2 if url is None else 3)

    run(main)


def test_what_the_body_of_a_hold_raised_is_not_hidden_by_a_store_that_is_away(tmp_path):
    server = Redis(tmp_path)
    hub = Hub(server.url, namespace="hidden")
    carts = hub.cache("cart", dict)

    @hub.cached(key="plain:{x}")
    def plain(x) -> int:
        return x

    async def main():
        await carts.set(1, {})
        plain(1)
        server.kill()
        with pytest.raises(ZeroDivisionError) as raised:
            async with carts.hold(1):
                raise ZeroDivisionError
        assert "could not be told" in raised.value.__notes__[0]
        with pytest.raises(ZeroDivisionError):
            with plain.hold(1):
                raise ZeroDivisionError
        with pytest.raises(StoreError):
            async with carts.hold(1):
                pass

    run(main)


def test_a_function_made_inside_another_needs_a_name_where_there_is_a_store(hub, url):
    def make(prefix, **settings):
        @hub.cached(**settings)
        def load(x: int) -> str:
            return f"{prefix}{x}"

        return load

    if url is None:
        assert (make("a")(1), make("b")(1)) == ("a1", "b1")
        return
    with pytest.raises(ValueError, match="needs a name of its own"):
        make("a")
    assert make("a", key="a:{x}")(1) == "a1" and make("b", key="b:{x}")(1) == "b1"


def test_an_annotation_that_cannot_be_read_is_an_error(hub, url):
    if url is None:
        return

    def function(x: int) -> 'TYPES["a"]':  # noqa: F821
        return x

    with pytest.raises((ValueError, TypeError)):
        cached(hub=hub, key="unread:{x}")(function)


TYPES = {}


def test_a_loop_that_makes_tasks_its_own_way_reaches_its_store(hub, url):
    calls = []

    @hub.cached(key="own:{x}")
    async def own(x) -> int:
        calls.append(x)
        return x

    async def main():
        asyncio.get_running_loop().set_task_factory(lambda loop, coroutine: asyncio.Task(coroutine, loop=loop))
        await own(1)
        assert "answers in" in (hub.health() or "answers in")

    run(main)


def test_words_of_ours_may_be_parameters(hub):
    @hub.cached(key="setting:{name}:{default}")
    async def setting(name, default=0) -> int:
        return default

    setting.blocking.set(3, "x", default=3)
    assert setting.blocking("x", default=3) == 3
    with pytest.raises(TypeError, match="not here"):
        setting.blocking("x")

    class Shop:
        @hub.cached(key="of:{x}")
        async def of(self, x) -> int:
            return x

    shop = Shop()
    assert shop.of.blocking.set_through(lambda: 5, 1) == 5
    assert setting.blocking.set_through(lambda: 4, "y", default=4) == 4


def test_files_of_tls_are_looked_at_when_a_hub_is_made():
    with pytest.raises(OSError):
        Hub("rediss://127.0.0.1:1/?ca=/no/such/file.pem")


def test_what_is_to_be_awaited_is_no_value(hub):
    carts = hub.cache("cart", dict)

    @hub.cached(key="plain:{x}")
    def plain(x) -> dict:
        return coroutine(x)

    async def load(key):
        return {}

    begun = []

    def coroutine(key):
        begun.append(load(key))
        return begun[-1]

    def refused():
        return pytest.raises(TypeError, match="is to be awaited")

    @hub.cached(key="other:{x}")
    async def other(x) -> dict:
        return {}

    async def main():
        await other(1)
        # The awaitable of a hit, and of a lookup.
        for x in (1, 2):
            begun.append(other(x))
            with refused():
                await carts.set(1, begun[-1])
        with refused():
            await carts.set(1, coroutine(1))
        with refused():
            await carts.set_many({1: coroutine(1)})
        with refused():
            async with carts.hold(1) as hold:
                await hold.set(coroutine(1))
        assert await carts.get(1) is None

    run(main)
    with refused():
        carts.blocking.get_or_load(1, coroutine)
    with refused():
        plain(1)
    with refused():
        carts.blocking.get_many([1], lambda ids: {1: coroutine(1)})
    assert carts.blocking.get(1) is None and len(begun) == 8
    for each in begun:
        each.close()


def test_patterns_know_keys_that_are_sequences_of_one(hub, url):
    if url and url.startswith("memcached"):
        return
    pages = hub.cache("page", int)

    async def greeting(*languages) -> str:
        return "hello"

    # With a store it needs a name that no other function has: its place is one, at the top of a module.
    greeting.__qualname__ = f"greeting_{next(_spaces)}"
    greeting = hub.cached(greeting)

    async def main():
        await pages.set_many({("acme",): 1, ("other",): 2, "acme": 3})
        assert await pages.invalidate_matching(("acme",)) == 1
        assert await pages.get_many([("acme",), ("other",), "acme"]) == {("other",): 2, "acme": 3}
        assert await pages.invalidate_matching((ANY,)) == 1
        await greeting("en"), await greeting("de"), await greeting("en", "de")
        assert await greeting.invalidate_matching("en") == 1
        assert await greeting.get("de") == "hello" and await greeting.get("en") is None
        # Of keys that have now more parts and now fewer it ends those as well that have more.
        assert await greeting.invalidate_matching(ANY) == 2
        assert await greeting.get("de") is None and await greeting.get("en", "de") is None

    run(main)


def test_a_thread_that_a_plain_load_began_in_its_context_is_told_of_the_circle(hub):
    import contextvars

    @hub.cached(key="circle:{x}")
    def circle(x) -> str:
        told = []

        def again():
            try:
                circle(x)
            except CycleError as error:
                told.append(str(error))

        thread = threading.Thread(target=contextvars.copy_context().run, args=(again,))
        thread.start()
        thread.join(20)
        return told[0][:4] if told else "not told"

    assert circle(1) != "not told"
