"""One cache, two languages: what processes of Rust and of Python load, end, hold and wait for is the other's as well."""

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import pytest
from rust import LONGEST_S as LONGEST_ANSWER_S
from rust import Rust
from servers import Memcached, Redis

from tierce import Hub

KINDS = {"redis": Redis, "memcached": Memcached}
LONGEST_S = 10


@dataclass
class Part:
    name: str
    count: int


@dataclass
class Product:
    """As crates/tierce-cli/src/beside.rs has it."""

    id: int
    name: str
    price: float
    parts: list[Part]
    note: str | None

    @classmethod
    def of(cls, id, name):
        return cls(id, name, 0.1, [Part("leg", -4), Part("plate ä", 2**63 - 1)], None if id % 2 else "even")


class Function:
    """The cache as a cached function, and whom that was called for."""

    def __init__(self, hub):
        self.hub, self.calls, self.name, self.gate = hub, [], "python", None

        @hub.cached(key="product:{id}", tags=["products", "product:{id}"])
        async def product(id: int) -> Product:
            return await self._load(id)

        self.load, self.verbs = product, product

    async def _load(self, id):
        self.calls.append(id)
        if self.gate:
            await self.gate.wait()
        return Product.of(id, self.name)


class Keyed(Function):
    """The cache by keys that are said at each call."""

    def __init__(self, hub):
        self.hub, self.calls, self.name, self.gate = hub, [], "python", None
        self.verbs = hub.cache("product", Product, tags=["products"])

    def load(self, id):
        return self.verbs.get_or_load(id, self._load, tags=[f"product:{id}"])


@pytest.fixture(scope="module", params=KINDS)
def server(request, tmp_path_factory):
    kind = KINDS[request.param]
    assert kind.program, f"{request.param} is not installed"
    made = kind(tmp_path_factory.mktemp(request.param))
    yield made
    made.kill()


_spaces = count()


@pytest.fixture
def space(server):
    return server.url, f"two{os.getpid()}-{next(_spaces)}"


@pytest.fixture
def rust(space):
    made = Rust(*space)
    yield made
    made.end()


@pytest.fixture(params=[Function, Keyed])
def new(request, space):
    """Makes a cache in a hub of its own, which is to the store as another process."""
    url, namespace = space
    # A busy machine is no reason to go on without the store.
    return lambda: request.param(Hub(url, namespace=namespace, memory_age="100ms", store_budget="10s"))


async def until(condition):
    """Waits until what is asked again and again holds: elsewhere a change is seen within a bound."""
    end = time.monotonic() + LONGEST_S
    while not await condition():
        assert time.monotonic() < end, f"waited {LONGEST_S} s for what did not come"


async def of(rust, *words):
    """What Rust answers, while the loop goes on."""
    return await asyncio.wrap_future(rust.begin(*words))


def test_what_one_loads_the_other_has(new, rust):
    here = new()

    async def main():
        for id in (7, 8):
            loaded = await of(rust, "load", id, "rust")
            assert Product.of(id, "rust") == await here.load(id) == await new().verbs.get(id)
            assert asdict(Product.of(id, "rust")) == loaded
        assert here.calls == []
        for id in (9, 2**40):
            loaded = await here.load(id)
            assert await of(rust, "load", id, "rust") == asdict(loaded) == asdict(Product.of(id, "python"))
        assert await of(rust, "loads") == 2 and here.calls == [9, 2**40]

    asyncio.run(main())


def test_what_one_sets_the_other_has(new, rust):
    here = new()

    async def main():
        await of(rust, "set", 1, "rust")
        assert await here.load(1) == Product.of(1, "rust")
        await (here.verbs.set(Product.of(2, "python"), 2) if type(here) is Function else here.verbs.set(2, Product.of(2, "python")))
        assert await of(rust, "get", 2) == asdict(Product.of(2, "python"))

    asyncio.run(main())


@pytest.mark.parametrize("how", ["key", "tag", "tag of all"])
def test_what_python_ends_is_over_in_rust(new, rust, how):
    here = new()

    async def main():
        await of(rust, "load", 7, "old")
        assert (await here.load(7)).name == "old"
        ends = {"key": lambda: here.verbs.invalidate(7), "tag": lambda: here.hub.invalidate_tag("product:7")}
        await ends.get(how, lambda: here.hub.invalidate_tag("products"))()
        # Elsewhere within the bound.
        await until(lambda: _is_named(rust, "new"))
        assert (await here.load(7)).name == "new" and here.calls == []

    asyncio.run(main())


@pytest.mark.parametrize("how", ["key", "tag", "tag of all"])
def test_what_rust_ends_is_over_in_python(new, rust, how):
    here = new()

    async def main():
        here.name = "old"
        await here.load(7)
        assert (await of(rust, "load", 7, "rust"))["name"] == "old"
        here.name = "new"
        words = {"key": ("invalidate", 7), "tag": ("invalidate-tag", "product:7")}
        await of(rust, *words.get(how, ("invalidate-tag", "products")))
        await until(lambda: _is_new(here))
        assert (await of(rust, "load", 7, "rust"))["name"] == "new"
        assert here.calls == [7, 7] and await of(rust, "loads") == 0

    asyncio.run(main())


def test_a_load_in_rust_is_waited_for_in_python(new, rust):
    here = new()

    async def main():
        # The connection and the versions of the tags are there before.
        await here.load(1)
        loading = rust.begin("load-at-the-gate", 7, "rust")
        await until(lambda: _equals(1, of(rust, "loads")))
        asked = [asyncio.create_task(_of(here.load(7))) for _ in range(50)]
        await until(lambda: _turn(here.verbs.stats().misses >= 2))
        # Long enough to ask the store, of which this tells.
        await here.load(2)
        assert not any(one.done() for one in asked) and not loading.done()
        await of(rust, "open")
        assert await asyncio.gather(*asked) == [Product.of(7, "rust")] * 50
        assert here.calls == [1, 2] and loading.result(LONGEST_ANSWER_S)["name"] == "rust"

    asyncio.run(main())


def test_a_load_in_python_is_waited_for_in_rust(new, rust):
    here = new()

    async def main():
        await of(rust, "load", 1, "rust")
        await here.load(1)
        here.gate = asyncio.Event()
        loading = asyncio.create_task(_of(here.load(7)))
        await until(lambda: _turn(here.calls == [7]))
        asked = [rust.begin("load", 7, "rust") for _ in range(50)]
        # Answered after those have asked.
        await of(rust, "load", 2, "rust")
        assert not any(one.done() for one in asked)
        here.gate.set()
        assert [await asyncio.wrap_future(one) for one in asked] == [asdict(await loading)] * 50
        assert await of(rust, "loads") == 2

    asyncio.run(main())


def test_what_rust_holds_is_not_stored_by_its_loads_and_ends_in_python_with_the_hold(new, rust):
    here = new()

    async def main():
        await of(rust, "hold", 7)
        assert (await of(rust, "load", 7, "rust"))["name"] == "rust"
        assert await here.verbs.get(7) is None
        # Others may keep what they load meanwhile, until the change is told.
        here.name = "old"
        assert await here.load(7) == await new().verbs.get(7) == Product.of(7, "old")
        here.name = "new"
        await of(rust, "end", 7)
        assert await new().verbs.get(7) is None
        await until(lambda: _is_new(here))
        assert here.calls == [7, 7] and (await of(rust, "load", 7, "rust"))["name"] == "new"

    asyncio.run(main())


def test_what_python_holds_is_not_stored_by_its_loads_and_ends_in_rust_with_the_hold(new, rust):
    here = new()

    async def main():
        async with here.verbs.hold(7) as hold:
            assert (await here.load(7)).name == "python"
            assert await of(rust, "get", 7) is None
            assert (await of(rust, "load", 7, "old"))["name"] == "old"
            assert await new().verbs.get(7) == Product.of(7, "old")
            await hold.invalidate()
        assert await new().verbs.get(7) is None
        await until(lambda: _is_named(rust, "new"))
        assert (await here.load(7)).name == "new" and here.calls == [7]

    asyncio.run(main())


def test_one_load_for_all_processes_of_both(space, rust):
    url, namespace = space
    program = [sys.executable, "-c", COLD, url, namespace, str(Path(__file__).parent)]
    pythons = [subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for one in pythons:
        assert one.stdout.readline() == "ready\n"
    for one in pythons:
        one.stdin.write("go\n")
        one.stdin.flush()
    asked = [rust.begin("load-at-the-gate", 5, "rust") for _ in range(200)]
    # If it is Rust's load that all wait for.
    rust.ask("open")
    found = [one.result(LONGEST_ANSWER_S) for one in asked]
    said = [json.loads(one.communicate(timeout=LONGEST_ANSWER_S)[0]) for one in pythons]
    assert sum(one["loads"] for one in said) + rust.ask("loads") == 1
    assert all(one == found[0] for one in found) and all(one["found"] == [found[0]] for one in said)


COLD = """
import asyncio, json, sys
from dataclasses import asdict
sys.path.insert(0, sys.argv[3])
from test_two_languages import Function
from tierce import Hub
async def main():
    here = Function(Hub(sys.argv[1], namespace=sys.argv[2], store_budget="10s"))
    # The connection is there before.
    await here.verbs.get(0)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    found = await asyncio.gather(*[here.load(5) for _ in range(200)])
    different = {json.dumps(asdict(one)) for one in found}
    print(json.dumps({"loads": len(here.calls), "found": [json.loads(one) for one in different]}))
asyncio.run(main())
"""


async def _of(awaitable):
    return await awaitable


async def _turn(holds):
    await asyncio.sleep(0)
    return holds


async def _equals(expected, awaitable):
    return expected == await awaitable


async def _is_new(here):
    return (await here.load(7)).name == "new"


async def _is_named(rust, name):
    return (await of(rust, "load", 7, name))["name"] == name
