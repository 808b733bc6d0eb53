"""`cached`: what tells calls apart, and the text of it, which is one in every language (docs/wire.md)."""

import asyncio
import json
import pathlib
from datetime import date
from uuid import UUID

import pytest

from tierce import Hub

GOLDEN = pathlib.Path(__file__).parents[2] / "crates/tierce/tests/golden/keys.jsonl"


def value_of(golden):
    """The value of Python's that a golden one stands for; NotImplemented where there is none."""
    [(kind, value)] = golden.items()
    if kind == "list":
        parts = tuple(value_of(part) for part in value)
        return NotImplemented if NotImplemented in parts else parts
    plain = {"int": int, "text": str, "bool": bool, "bytes": bytes.fromhex, "float": float, "none": lambda _: None}
    return plain[kind](value) if kind in plain else NotImplemented


@pytest.mark.skipif(not GOLDEN.exists(), reason="the package alone is here")
def test_the_golden_keys_have_their_texts():
    @Hub().cached(key="name:{x}")
    async def function(x): ...

    rows = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    found = [(value_of(row["value"]), row["text"]) for row in rows]
    found = [(value, text) for value, text in found if value is not NotImplemented]
    assert len(found) > 30
    for value, text in found:
        assert function.key(value) == f"name:{text}"


@pytest.mark.parametrize(
    "value, text",
    [
        (UUID("67E55044-10B1-426F-9247-BB680E5FE0C8"), '"67e55044-10b1-426f-9247-bb680e5fe0c8'),
        (date(2024, 2, 9), '"2024-02-09'),
        (date(900, 1, 1), '"0900-01-01'),
    ],
)
def test_what_rust_writes_as_text_is_that_text(value, text):
    @Hub().cached(key="name:{x}")
    async def function(x): ...

    assert function.key(value) == f"name:{text}" == function.key(str(value))


def test_calls_that_differ_have_texts_that_differ():
    @Hub().cached(key=None)
    async def any_(*args, **kwargs): ...

    @Hub().cached
    async def one_or_more(x, *rest): ...

    @Hub().cached
    async def named(x=1, **more): ...

    texts = {
        any_: [
            any_.key(), any_.key(()), any_.key(1), any_.key((1,)), any_.key(1, 2), any_.key((1, 2)), any_.key(((1, 2),)),
            any_.key(a=1), any_.key(("a", 1)), any_.key(1, a=1), any_.key(None),
        ],
        one_or_more: [
            one_or_more.key(1), one_or_more.key((1,)), one_or_more.key((1, 2)), one_or_more.key(1, 2),
            one_or_more.key(1, (2,)), one_or_more.key((1, 2), ()),
        ],
        named: [named.key(), named.key((1,)), named.key(a=1), named.key(x=(1,), a=1), named.key(x=None)],
    }  # fmt: skip
    for all_ in texts.values():
        assert len(set(all_)) == len(all_), sorted(all_)
    # Where each call has one part that stands for itself.
    @Hub().cached(key="one:{x}")
    async def one(x): ...

    assert one.key((1, 2)) == "one:(1,2)"


def test_calls_that_differ_by_text_alone_differ_in_memory_too():
    calls = []

    @Hub().cached
    async def function(*args):
        calls.append(args)
        return args

    async def main():
        for args in ((), ((),), (1,), ((1,),), (1, 2), ((1, 2),)):
            assert await function(*args) == args
            assert await function(*args) == args

    asyncio.run(main())
    assert len(calls) == 6


def test_zero_is_one_key_whatever_its_sign():
    @Hub().cached(key="name:{x}")
    async def function(x):
        return x

    async def main():
        assert (await function(0.0), await function(-0.0)) == (0.0, 0.0)

    asyncio.run(main())
    assert function.stats().loads == 1
    assert function.key(0.0) == function.key(-0.0) != function.key(0)


@pytest.mark.parametrize("argument", [1.5, (1, 2), b"bytes", None, True, UUID(int=1), 2**70, "text", 7])
@pytest.mark.parametrize("how", ["by position", "by name"])
def test_a_hit_is_ready_whatever_the_argument_is(argument, how):
    @Hub().cached
    async def function(x):
        return x

    def ask():
        return function(argument) if how == "by position" else function(x=argument)

    async def main():
        await ask()
        assert type(ask()).__name__ == "Ready"
        assert await ask() == argument

    asyncio.run(main())
    assert function.stats()[:2] == (2, 1)


def test_a_default_that_has_no_place_in_a_key_is_named_as_what_it_is():
    @Hub().cached
    async def function(x, more=[]): ...  # noqa: B006

    @Hub().cached(key="other:{x}")
    async def without(x, more=[]):  # noqa: B006
        return x

    with pytest.raises(TypeError, match=r"function, argument 'more': a list has no place"):
        function.key(1)
    assert function.key(1, 2).endswith("(1,2)")
    assert asyncio.run(without(1)) == 1


def test_an_error_names_the_function_and_the_argument():
    @Hub().cached
    async def product(x, *rest, **more): ...

    for call in (lambda: product.key([]), lambda: product(x=[]), lambda: product.invalidate([])):
        with pytest.raises(TypeError, match=r"product, argument 'x': a list has no place in a key"):
            call()
    with pytest.raises(TypeError, match=r"product: a list has no place in a key"):
        product.key(1, [])
    with pytest.raises(TypeError, match=r"product, argument 'named': a list has no place in a key"):
        product.key(1, named=[])
    with pytest.raises(ValueError, match=r"product, argument 'x': NaN"):
        product.key(float("nan"))

    @Hub().cached
    async def two(x, y): ...

    for call in (lambda: two.key(1), lambda: two.peek(1, 2, 3), lambda: two.set(5, 1, z=2), lambda: two.refresh()):
        with pytest.raises(TypeError, match=r"do not fit .*two: .*two\(\) "):
            call()
