"""`cached`: one load for all who ask, whoever leaves, and nothing old after an invalidation."""

import asyncio
import copy
import gc
import subprocess
import sys
import weakref
from contextvars import ContextVar
from uuid import UUID

import pytest

import tierce
from tierce import CycleError, Hub, LoadCancelledError, cached, hub
from tierce._tierce import Lookup, testing


def counted(load=None, **settings):
    """A cached function that counts its calls, and what it was called with."""
    calls = []

    @Hub().cached(**settings)
    async def function(x):
        calls.append(x)
        return (x, len(calls)) if load is None else await load(x)

    return function, calls


async def turns(n=3):
    for _ in range(n):
        await asyncio.sleep(0)


def test_a_thousand_cold_calls_are_one_load():
    async def slow(x):
        await asyncio.sleep(0.01)
        return x * 2

    function, calls = counted(slow)
    before = testing.live()

    async def main():
        assert await asyncio.gather(*[function(21) for _ in range(1000)]) == [42] * 1000
        assert await function(21) == 42

    asyncio.run(main())
    assert calls == [21]
    stats = function.stats()
    assert (stats.hits, stats.misses, stats.coalesced, stats.loads, stats.entries) == (1, 1000, 999, 1, 1)
    assert testing.live() <= before


def test_the_first_caller_is_cancelled_and_nobody_else():
    gate = asyncio.Event()

    async def slow(x):
        await gate.wait()
        return x

    function, calls = counted(slow)

    async def main():
        first = asyncio.create_task(function(1))
        await turns()
        others = [asyncio.create_task(function(1)) for _ in range(5)]
        await turns()
        first.cancel()
        await turns()
        gate.set()
        assert await asyncio.gather(*others) == [1] * 5
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(main())
    assert calls == [1]


def test_a_load_goes_on_when_all_have_left():
    function, calls = counted(lambda x: asyncio.sleep(0.02, x))

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(function(1), 0.001)
        while function.peek(1) is None:
            await asyncio.sleep(0.005)
        assert await function(1) == 1

    asyncio.run(main())
    assert calls == [1]


@pytest.mark.parametrize("waits", [True, False])
def test_an_exception_goes_to_all_who_wait_and_is_not_kept(waits):
    async def bad(x):
        if waits:
            await asyncio.sleep(0.01)
        raise KeyError(x)

    function, calls = counted(bad)

    async def main():
        found = await asyncio.gather(*[function("k") for _ in range(100)], return_exceptions=True)
        assert {type(one) for one in found} == {KeyError}
        assert len(calls) == 1 or not waits
        with pytest.raises(KeyError):
            await function("k")

    asyncio.run(main())
    assert function.stats().entries == 0


def test_a_function_that_gives_no_coroutine_is_an_error():
    @tierce.cached
    async def function(x): ...

    function = Hub().cached(_plain_marked(lambda x: 5))

    async def main():
        with pytest.raises(TypeError):
            await function(1)

    asyncio.run(main())


def _plain_marked(function):
    import inspect

    if hasattr(inspect, "markcoroutinefunction"):
        return inspect.markcoroutinefunction(function)
    function._is_coroutine = asyncio.coroutines._is_coroutine
    return function


def test_who_leads_a_cancelled_load_is_told_and_one_of_the_others_loads():
    tasks = []

    async def load(x):
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0.01 if len(tasks) > 1 else 3600)
        return "second"

    function, calls = counted(load)

    async def main():
        waiting = [asyncio.create_task(function(1)) for _ in range(10)]
        await turns()
        tasks[0].cancel()
        first, *others = await asyncio.gather(*waiting, return_exceptions=True)
        assert type(first) is LoadCancelledError
        assert others == ["second"] * 9

    asyncio.run(main())
    assert len(calls) == 2


def test_an_error_that_nobody_waits_for_is_told_to_the_loop():
    told = []

    async def bad(x):
        await asyncio.sleep(0.001)
        raise ValueError(x)

    function, _ = counted(bad)

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        task = asyncio.create_task(function(1))
        await turns()
        task.cancel()
        while not told:
            await asyncio.sleep(0.002)
        with pytest.raises(ValueError):
            await function(1)

    asyncio.run(main())
    assert [type(context["exception"]) for context in told] == [ValueError]


variable = ContextVar("variable", default=None)


def test_the_callers_context_reaches_the_loader_and_the_loaders_stays_there():
    seen = []

    async def load(x):
        seen.append((variable.get(), asyncio.current_task() is not None))
        await asyncio.sleep(0)
        seen.append(variable.get())
        variable.set("inner")

    function, _ = counted(load)

    async def main():
        variable.set("outer")
        await function(1)
        assert variable.get() == "outer"

    asyncio.run(main())
    assert seen == [("outer", True), "outer"]


def test_asyncio_timeout_works_in_a_loader():
    async def load(x):
        async with asyncio.timeout(0.01):
            await asyncio.sleep(3600)

    function, _ = counted(load)

    async def main():
        with pytest.raises(TimeoutError):
            await function(1)

    asyncio.run(main())


@pytest.mark.parametrize("waits", [True, False])
def test_loads_nest_on_other_keys(waits):
    async def load(x):
        if waits:
            await asyncio.sleep(0)
        return "deep" if x == 30 else await function(x + 1)

    function, calls = counted(load)

    async def main():
        assert await asyncio.wait_for(function(0), 10) == "deep"

    asyncio.run(main())
    assert calls == list(range(31))


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("how", ["await", "task"])
def test_a_load_that_waits_for_itself_raises(waits, how):
    async def load(x):
        if waits:
            await asyncio.sleep(0)
        asked = function((x + 1) % 3)
        return await (asyncio.create_task(asked) if how == "task" else asked)

    function, _ = counted(load)

    async def main():
        with pytest.raises(CycleError):
            await asyncio.wait_for(function(0), 10)

    asyncio.run(main())


def test_asyncio_takes_a_lookup_for_a_coroutine():
    function, _ = counted(lambda x: asyncio.sleep(0.001, x))

    async def main():
        assert type(lookup := function(1)) is Lookup
        assert asyncio.iscoroutine(lookup)
        assert await asyncio.create_task(lookup) == 1
        assert await asyncio.wait_for(function(2), 1) == 2
        assert await asyncio.shield(function(3)) == 3
        assert await asyncio.gather(function(4), function(1)) == [4, 1]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(function(x)) for x in (5, 1)]
        assert [task.result() for task in tasks] == [5, 1]
        assert await asyncio.ensure_future(function(6)) == 6

    asyncio.run(main())
    assert asyncio.iscoroutinefunction(function)


def test_a_lookup_is_lazy_and_awaited_once():
    function, calls = counted()

    async def main():
        lookup = function(1)
        await turns()
        assert calls == []
        assert await lookup == (1, 1)
        with pytest.raises(RuntimeError, match="already awaited"):
            await lookup
        unwanted = function(2)
        unwanted.close()
        with pytest.raises(RuntimeError, match="already awaited"):
            await unwanted
        with pytest.raises(KeyError):
            function(3).throw(KeyError("thrown"))

    asyncio.run(main())
    assert calls == [1]
    with pytest.raises(RuntimeError, match="no running event loop"):
        function(4).send(None)


def test_a_result_that_is_an_exception_or_a_tuple_comes_as_it_is():
    values = [ValueError("kept"), (1, 2), StopIteration(3), None]
    for waits in (0, 0.001):

        async def load(at):
            await asyncio.sleep(waits) if waits else None
            return values[at]

        function, _ = counted(load)

        async def main():
            for at, value in enumerate(values):
                assert await function(at) is value
                assert await function(at) is value
                assert await asyncio.create_task(function(at)) is value

        asyncio.run(main())


@pytest.mark.parametrize("how", ["invalidate", "clear", "set"])
def test_an_invalidation_during_a_load_is_not_overwritten(how):
    gate = asyncio.Event()
    source = ["old"]

    async def load(x):
        value = source[0]
        await gate.wait()
        return value

    function, _ = counted(load)

    async def main():
        before = asyncio.create_task(function(1))
        await turns()
        source[0] = "new"
        if how == "set":
            await function.set("new", 1)
        elif how == "clear":
            await function.clear()
        else:
            await function.invalidate(1)
        after = asyncio.create_task(function(1))
        await turns()
        gate.set()
        assert await after == "new"
        await before
        assert await function(1) == "new"
        assert function.peek(1) == "new"

    asyncio.run(main())


@pytest.mark.parametrize("tag", ["all", "of:1", "of:result"])
def test_a_tag_that_ends_during_a_load_keeps_it_out(tag):
    gate = asyncio.Event()
    source = ["old"]
    in_hub = Hub()

    @in_hub.cached(tags=["all", "of:{x}", "of:{result[kind]}"])
    async def function(x):
        value = source[0]
        await gate.wait()
        return {"kind": "result", "value": value}

    async def main():
        before = asyncio.create_task(function(1))
        await turns()
        source[0] = "new"
        await in_hub.invalidate_tag(tag)
        after = asyncio.create_task(function(1))
        await turns()
        gate.set()
        assert (await after)["value"] == "new"
        await before
        assert (await function(1))["value"] == "new"
        assert function.peek(1)["value"] == "new"
        await in_hub.invalidate_tag(tag)
        assert function.peek(1) is None
        await function.set({"kind": "result", "value": "put in"}, 1)
        assert (await function(1))["value"] == "put in"
        await in_hub.invalidate_tag(tag)
        assert function.peek(1) is None

    asyncio.run(main())


def test_tags_see_arguments_however_they_are_given():
    in_hub = Hub()

    @in_hub.cached(key="f:{a}", tags=["{a}-{b}-{c}-{d}"])
    async def function(a, /, b=2, *rest, c, d=4, **more):
        return a

    @in_hub.cached(tags=["only:{a}"])
    async def only(a, /):
        return a

    async def main():
        for at, call in enumerate([lambda: function(1, c=3, e=5), lambda: function(1, 2, c=3, d=4, e=5)]):
            await call()
            assert function.peek(1, c=3) == 1
            await in_hub.invalidate_tag("1-2-3-4")
            assert function.peek(1, c=3) is None
        await only(1)
        await in_hub.invalidate_tag("only:1")
        assert only.peek(1) is None

    asyncio.run(main())


def test_a_hit_stays_a_hit_when_other_tags_end():
    in_hub, calls = Hub(), []

    @in_hub.cached(tags=["of:{x}"])
    async def function(x):
        calls.append(x)

    async def main():
        await function(1)
        await in_hub.invalidate_tag("other")
        await function(1)
        await function(1)

    asyncio.run(main())
    assert calls == [1]
    assert function.stats()[:2] == (2, 1)


def test_what_can_be_said_to_a_function():
    function, calls = counted(key="pair:{x}")

    async def main():
        assert function.peek(1) is None
        assert await function(1) == (1, 1)
        assert function.peek(x=1) == (1, 1)
        assert await function.refresh(1) == (1, 2)
        assert await function(x=1) == (1, 2)
        await function.set("put in", 1)
        assert await function(1) == "put in"
        await function.invalidate(1)
        assert function.peek(1) is None
        assert await function(1) == (1, 3)
        await function.clear()
        assert await function(1) == (1, 4)
        with pytest.raises(TypeError, match="do not fit"):
            function.key(1, 2)
        with pytest.raises(TypeError, match="positional argument"):
            await function(1, 2)

    asyncio.run(main())
    assert copy.deepcopy(function) is function
    assert function.__name__ == "function" and "cached" in repr(function)


def test_a_stale_value_is_served_while_one_load_replaces_it():
    function, calls = counted(ttl="5ms", stale="1h")

    async def main():
        assert await function(1) == (1, 1)
        await asyncio.sleep(0.02)
        assert await function(1) == (1, 1)
        await turns()
        assert function.peek(1) == (1, 2) or calls == [1, 1]

    asyncio.run(main())
    assert calls == [1, 1]
    assert function.stats().stale_hits == 1


def keys_of(*arguments, key=None):
    @Hub().cached(key=key or "name:{x}")
    async def function(x, y=2): ...

    return function.key(*arguments)


@pytest.mark.parametrize(
    "argument, text",
    [
        (42, "42"),
        (-7, "-7"),
        (2**63, "9223372036854775808"),
        (-(2**100), str(-(2**100))),
        ("a b", '"a%20b'),
        ("", '"'),
        ("ä", '"%C3%A4'),
        (True, "T"),
        (None, "N"),
        (1.5, "f3ff8000000000000"),
        (-0.0, "f0000000000000000"),
        (b"\x00\xff", "b00ff"),
        ((1, ("a", None)), '(1,("a,N))'),
        ((), "()"),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001'),
    ],
)
def test_a_key_has_the_text_of_every_language(argument, text):
    assert keys_of(argument) == f"name:{text}"
    assert keys_of(argument, key="name:{x}:{y}") == f"name:({text},2)"


def test_arguments_that_python_holds_equal_are_apart():
    function, calls = counted()

    async def main():
        for argument in (1, 1.0, True, "1", b"1", (1,), (1.0,)):
            await function(argument)
            await function(argument)

    asyncio.run(main())
    assert len(calls) == 7


def test_all_ways_to_give_an_argument_are_one_key():
    calls = []

    @Hub().cached()
    async def function(x, y=2, *rest, z=3, **more):
        calls.append((x, y, rest, z, more))

    async def main():
        for _ in range(2):
            await function(1)
            await function(x=1, y=2, z=3)
            await function(1, 2, z=3)
            await function(1, 2, 3)
            await function(1, 2, a=1, b=2)
            await function(1, 2, b=2, a=1)
            await function(1, 2, ("a", 1))

    asyncio.run(main())
    assert len(calls) == 4
    assert function.key(1, 2, b=2, a=1).endswith(':(1,2,3,["a=1,"b=2])')


def test_an_argument_without_a_place_in_a_key_is_named():
    @Hub().cached()
    async def function(session, x): ...

    for argument, error in ((object(), TypeError), (float("nan"), ValueError), ("\ud800", ValueError), (2**200, ValueError)):
        with pytest.raises(error, match="argument 'x'"):
            function(1, argument)
    with pytest.raises(TypeError, match="leave it out"):
        function(object(), 1)

    @Hub().cached(key="f:{x}")
    async def without(session, x):
        return x

    async def main():
        assert await without(object(), 1) == 1
        assert await without(object(), 1) == 1

    asyncio.run(main())
    assert without.stats().loads == 1


def test_a_method_is_bound():
    class Shop:
        @Hub().cached(key="product:{number}", tags=["shop:{self.name}"])
        async def product(self, number):
            return f"{self.name} {number}"

    Shop.name = "one"
    shop = Shop()

    async def main():
        assert await shop.product(1) == "one 1"
        assert shop.product.peek(1) == "one 1"
        assert shop.product.key(1) == 'product:1'
        await shop.product.set("put in", 1)
        assert await shop.product(1) == "put in"
        await shop.product.invalidate(1)
        assert await shop.product.refresh(1) == "one 1"
        assert shop.product.stats().loads == 2

    asyncio.run(main())


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"key": "product:{nobody}"}, "none of the parameters"),
        ({"key": "{x}"}, "has to begin with a name"),
        ({"key": "p:{x!r}"}, "only names"),
        ({"key": "p:{"}, "no template"),
        ({"tags": ["of:{nobody}"]}, "neither result nor a parameter"),
        ({"tags": [""]}, "must not be empty"),
        ({"ttl": 0}, "no time"),
    ],
)
def test_what_is_wrong_is_said_at_decoration(settings, sentence):
    with pytest.raises(ValueError, match=sentence):

        @Hub().cached(**settings)
        async def function(x): ...


def test_only_functions_are_taken_and_no_two_of_one_name():
    with pytest.raises(TypeError, match="decorates functions"):
        cached(5)
    with pytest.raises(TypeError, match="a list of tags"):
        cached(tags="all")(turns)
    in_hub = Hub()

    @in_hub.cached(key="product:{x}")
    async def one(x): ...

    with pytest.raises(ValueError, match="two functions may not share one"):

        @in_hub.cached(key="product:{x}")
        async def two(x): ...

    # Defined anew, as in a notebook: with a cache of its own.
    @in_hub.cached(key="product:{x}")
    async def one(x):
        return "new"

    async def main():
        assert await one(1) == "new"

    asyncio.run(main())


def test_a_value_whose_drop_asks_the_cache_does_no_harm():
    log = []

    class Value:
        def __del__(self):
            log.append(function.peek("other"))

    async def load(x):
        return Value()

    function, _ = counted(load)

    async def main():
        await function(1)
        await function.set("here", "other")
        await function.invalidate(1)
        await function(1)
        await function.clear()

    asyncio.run(main())
    gc.collect()
    assert len(log) == 2


def test_a_lookup_inside_the_poll_of_another_is_polled_there():
    async def load(x):
        if x == "inner":
            await asyncio.sleep(0.001)
            return "inner"
        lookup = function("inner")
        future = lookup.send(None)
        assert asyncio.isfuture(future)
        lookup.close()
        return await function("inner") + "!"

    function, calls = counted(load)

    async def main():
        assert await asyncio.wait_for(function("outer"), 5) == "inner!"

    asyncio.run(main())
    assert calls == ["outer", "inner"]


def test_threads_without_python_wake_a_loop():
    class Thing: ...

    async def main():
        found = await asyncio.gather(*[testing.from_thread((x, None)) for x in range(200)])
        assert found == list(range(200))
        thing = Thing()
        gone = weakref.ref(thing)
        assert await testing.from_thread((1, thing)) == 1
        del thing
        while gone() is not None:
            # The thread left it to whoever enters next.
            await asyncio.sleep(0.001)
            await hub().invalidate_tag("any")

    asyncio.run(asyncio.wait_for(main(), 30))


def test_import_brings_no_asyncio():
    code = "import sys, tierce; assert 'asyncio' not in sys.modules and 'tierce.shared' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
