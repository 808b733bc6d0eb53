"""`cached`: what it is told, what it takes for a function, whose name is whose."""

import asyncio
import contextvars
import functools
import gc
import inspect

import pytest
from children import child

from tierce import BoundCached, CycleError, Hub, LoadCancelledError, cached


async def turns(n=3):
    for _ in range(n):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "key, sentence",
    [
        ("settings", "names no parameter, so that all calls would share one value: write 'settings:{x}', or 'settings:'"),
        ("settings:v2", "has to begin with a name"),
        ("settings:{x}:v2", "behind the name stand parameters alone"),
        ("settings:{x}{y}", "behind the name stand parameters alone"),
        ("settings{x}", "behind the name stand parameters alone"),
        ("settings:{x}/{y}", "behind the name stand parameters alone"),
        ("", "has to begin with a name"),
        (":{x}", "has to begin with a name"),
        ("a" * 65 + ":{x}", "has to begin with a name"),
        ("settings:{rest}", "none of the parameters"),
    ],
)
def test_a_key_is_a_name_and_parameters(key, sentence):
    with pytest.raises(ValueError, match="function: key .*" + sentence.replace("{", r"\{")):

        @Hub().cached(key=key)
        async def function(x, y=1, *rest): ...


def test_a_key_may_say_that_one_value_is_all_calls():
    @Hub().cached(key="settings:")
    async def settings(session):
        return session

    @Hub().cached(key="nothing")
    async def nothing():
        return 1

    async def main():
        assert [await settings(session) for session in (1, 2)] == [1, 1]
        assert await nothing() == 1

    asyncio.run(main())
    assert settings.key(3) == "settings:()" and nothing.key() == "nothing:()"


@pytest.mark.parametrize(
    "settings, error, sentence",
    [
        ({"stale": "1m", "ttl": None}, TypeError, "stale is counted from the end of ttl"),
        ({"maxsize": 0}, TypeError, "maxsize=0"),
        ({"hub": "mine"}, TypeError, "hub='mine'"),
        ({"tags": "all"}, TypeError, "tags='all'"),
        ({"tags": [1]}, ValueError, "no template"),
        ({"tags": [""]}, ValueError, "must not be empty"),
        ({"tags": ["of:{result}"]}, ValueError, "rename the parameter"),
        ({"ttl": -1}, ValueError, "ttl"),
    ],
)
def test_what_is_wrong_names_the_function(settings, error, sentence):
    with pytest.raises(error, match="names_the_function.<locals>.function: .*" + sentence):

        @cached(**settings)
        async def function(x, result=None): ...


def test_tags_are_kept_as_rust_keeps_them():
    in_hub, calls = Hub(), []

    @in_hub.cached(tags=["{empty}", "of:{long}", "{result}"])
    async def function(x, empty="", long="y" * 300):
        calls.append(x)
        return "" if x == 1 else "z" * 300

    async def main():
        for x in (1, 2):
            for tag in ("of:" + "y" * 300, "of:" + "y" * 301, "z" * 300):
                await function(x)
                await in_hub.invalidate_tag(tag)
        await function(1)
        with pytest.raises(ValueError, match="empty"):
            await in_hub.invalidate_tag("")

    asyncio.run(main())
    assert calls == [1, 1, 2, 2, 1]


def test_a_result_that_is_none_has_no_tags_of_results():
    in_hub = Hub()

    @in_hub.cached(tags=["products", "category:{result[category]}"])
    async def product(x):
        return None if x == 1 else {"category": 3}

    async def main():
        assert await product(1) is None and await product(1) is None
        await product.set(None, 2)
        await in_hub.invalidate_tag("category:3")
        assert product.stats().loads == 1
        await product.invalidate(2)
        assert await product(2) == {"category": 3}
        await in_hub.invalidate_tag("category:3")
        assert product.peek(2) is None
        await in_hub.invalidate_tag("products")
        await product(1)
        assert product.stats().loads == 3

    asyncio.run(main())


def test_a_tag_that_cannot_be_made_names_itself_and_the_function():
    @Hub().cached(tags=["category:{result[category]}"])
    async def product(x):
        return {}

    async def main():
        with pytest.raises(KeyError) as told:
            await product(1)
        assert "category:{result[category]}" in told.value.__notes__[0] and "product" in told.value.__notes__[0]

    asyncio.run(main())


def test_partials_and_objects_that_are_called_are_functions():
    calls = []

    async def product(shop, number, *, kind="a"):
        calls.append((shop, number, kind))
        return (shop, number, kind)

    class Client:
        def __init__(self):
            self.invalidate = "an attribute of its own"

        async def __call__(self, number):
            calls.append(number)
            return number

    in_hub = Hub()
    one, other = (in_hub.cached(functools.partial(product, shop, kind="b")) for shop in ("one", "other"))
    client = in_hub.cached(key="client:{number}", tags=["client:{number}"])(Client())

    async def main():
        for _ in range(2):
            assert await one(1) == ("one", 1, "b")
            assert await other(1) == ("other", 1, "b")
            assert await one(number=1, kind="c") == ("one", 1, "c")
            assert await client(7) == 7
        await client.invalidate(7)
        await client(7)
        await in_hub.invalidate_tag("client:7")
        await client(7)

    asyncio.run(main())
    assert len(calls) == 6
    assert one.key(1) != other.key(1)
    assert inspect.iscoroutinefunction(client) or asyncio.iscoroutinefunction(client)


def test_attributes_of_the_function_hide_no_verb():
    def register(function):
        function.invalidate = function.peek = function.stats = function.key = "of the framework"
        function._place = "elsewhere"
        function.role = "admin"
        return function

    @Hub().cached
    @register
    async def function(x):
        return x

    async def main():
        await function(1)
        await function.invalidate(1)
        assert function.peek(1) is None and function.stats().loads == 1
        assert function.role == "admin"

    asyncio.run(main())


def test_what_is_wrapped_says_nothing_of_what_is_called():
    def wrapper(function):
        @functools.wraps(function)
        async def inner(*args, **kwargs):
            return await function(*args, **kwargs)

        return inner

    def with_signature(function):
        function.__signature__ = inspect.Signature([inspect.Parameter("other", inspect.Parameter.POSITIONAL_OR_KEYWORD)])
        return function

    @Hub().cached(tags=["x:{x}"])
    @with_signature
    async def function(x, locals=2):
        return x

    with pytest.raises(ValueError, match="none of the parameters"):

        @Hub().cached(key="wrapped:{x}")
        @wrapper
        async def wrapped(x): ...

    async def main():
        assert await function(1) == 1
        assert await function(x=1) == 1
        assert function.stats().loads == 1
        with pytest.raises(TypeError, match="do not fit"):
            function.key(1, y=2)

    asyncio.run(main())


def test_a_coroutine_is_no_value_to_set():
    @Hub().cached
    async def function(x):
        return x

    async def main():
        await function(1)
        for make in (lambda: asyncio.sleep(0), lambda: function(1), lambda: function(2)):
            value = make()
            with pytest.raises(TypeError, match="function: .* is to be awaited"):
                function.set(value, 3)
            value.close()
        assert function.peek(3) is None

    asyncio.run(main())


def test_a_function_that_is_gone_leaves_its_name_and_none_of_its_values():
    """A load of the older definition may still run when the newer one is made."""
    in_hub, gates = Hub(), []

    def define(value):
        @in_hub.cached(key="product:{x}")
        async def product(x):
            gates.append(asyncio.get_running_loop().create_future())
            await gates[-1]
            return value

        return product

    async def main():
        older = define("older")
        waits = asyncio.ensure_future(older(1))
        await turns()
        del older
        gc.collect()
        newer = define("newer")
        asks = asyncio.ensure_future(newer(1))
        await turns()
        assert len(gates) == 2, "the newer one loads itself"
        for gate in gates:
            gate.set_result(None)
        assert (await waits, await asks) == ("older", "newer")
        assert await newer(1) == "newer" == newer.peek(1)

    asyncio.run(main())


def test_a_long_name_has_room_for_a_number():
    in_hub, name = Hub(), "p" * 64

    def define():
        @in_hub.cached(key=name + ":{x}")
        async def product(x): ...

        return product

    one, two = define(), define()
    assert one.key(1) == f"{name}:1"
    assert two.key(1) == f"{name[:62]}.2:1"


def test_threads_make_one_hub_and_no_two_functions_of_one_name():
    assert child("""
        import sys, threading, tierce
        import tierce.shared as shared

        sys.setswitchinterval(1e-6)
        shared.Hub.__init__ = (lambda before: lambda self, *a, **k: (before(self, *a, **k), [None for _ in range(1000)])[0])(shared.Hub.__init__)
        begin, hubs, names = threading.Barrier(8), [], []

        def run():
            begin.wait()
            hubs.append(tierce.hub())
            async def function(x): ...
            names.append([tierce.cached(function) for _ in range(50)])

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len(set(map(id, hubs))), len({one.key(1) for all_ in names for one in all_}))
    """).split() == ["1", "400"]


def test_a_bound_method_is_as_one_of_memos():
    class Shop:
        @Hub().cached(key="product:{number}")
        async def product(self, number: int) -> int:
            """The product."""
            return number

    shop = Shop()
    assert shop.product == shop.product and hash(shop.product) == hash(shop.product)
    assert shop.product != Shop().product
    assert list(inspect.signature(shop.product).parameters) == ["number"]
    assert shop.product.__doc__ == "The product." and shop.product.__name__ == "product"
    assert type(shop.product) is BoundCached and BoundCached.__module__.startswith("tierce")
    assert BoundCached.__doc__ == "A method made by cached, of one instance."


def test_a_task_that_a_load_does_not_wait_for_is_begun_without_its_context():
    tasks = []

    @Hub().cached
    async def function(x):
        context = contextvars.Context() if x == "apart" else None
        tasks.append(asyncio.create_task(function(x), context=context))
        await turns()
        return x

    async def main():
        assert await asyncio.wait_for(function("apart"), 10) == "apart"
        assert await tasks[0] == "apart"
        assert await asyncio.wait_for(function("inside"), 10) == "inside"
        with pytest.raises(CycleError, match=r"function waits for itself, or may: .*context=contextvars\.Context\(\)"):
            await tasks[1]

    asyncio.run(main())


def test_errors_of_loads_name_the_function():
    @Hub().cached(key="product:{x}")
    async def product(x):
        raise asyncio.CancelledError

    async def main():
        with pytest.raises(LoadCancelledError, match="the load of product was cancelled"):
            await product(1)

    asyncio.run(main())


def test_who_asked_for_the_hub_before_configure_has_the_one_that_was_configured():
    said = child(
        """
        import tierce
        before = tierce.hub()
        carts = before.cache("cart", int)
        configured = tierce.configure("redis://127.0.0.1:1", namespace="n")
        assert before is configured is tierce.hub()
        print(before.health() is not None, before.blocking.health() is not None)
        """
    )
    assert said == "True True\n"


def test_a_cache_that_is_asked_for_twice_is_one():
    hub = Hub()
    carts = hub.cache("cart", dict, ttl="1h", tags=["carts"])
    assert hub.cache("cart", dict, ttl="1h", tags=["carts"]) is carts
    with pytest.raises(ValueError, match=r"the cache 'cart' is there with other settings: make it once"):
        hub.cache("cart", dict, ttl="2h", tags=["carts"])
    with pytest.raises(ValueError, match="with other settings"):
        hub.cache("cart", list, ttl="1h", tags=["carts"])
    # Kept by the hub, with its values.
    hub.cache("user", str).blocking.set(1, "Ann")
    gc.collect()
    assert hub.cache("user", str).blocking.get(1) == "Ann"


def test_a_tag_is_text():
    with pytest.raises(TypeError, match="invalidate_tag: 5 is no tag: give its text"):
        Hub().invalidate_tag(5)
