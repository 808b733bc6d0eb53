"""freeze=True: nobody can change what all share."""

from collections import Counter, OrderedDict, defaultdict, namedtuple
from types import MappingProxyType, SimpleNamespace

import pytest

from tierce import memo

Pair = namedtuple("Pair", ["left", "right"])


class Settings(dict):
    pass


class Names(list):
    pass


class Version(tuple):
    pass


def frozen(value):
    return memo(freeze=True)(lambda: value)()


@pytest.mark.parametrize(
    "value",
    [
        OrderedDict(b=[2], a=[1]), defaultdict(list, b=[2], a=[1]), MappingProxyType({"b": [2], "a": [1]}),
        MappingProxyType(OrderedDict(b=[2], a=[1])),
    ],
)  # fmt: skip
def test_dicts_of_the_standard_library_are_read_only(value):
    kept = frozen(value)
    assert list(kept.items()) == [("b", (2,)), ("a", (1,))]
    with pytest.raises(TypeError):
        kept["a"] = 5
    with pytest.raises(KeyError):
        kept["missing"]
    assert list(kept) == ["b", "a"] and not hasattr(kept, "move_to_end")
    value if isinstance(value, MappingProxyType) else value.clear()
    assert list(kept) == ["b", "a"], "the function's own can change"


def test_a_counter_is_read_only_and_says_what_is_missing():
    kept = frozen(Counter("aab"))
    assert kept["a"] == 2 and kept["missing"] == 0 and kept == Counter("aab")
    with pytest.raises(TypeError):
        kept["a"] = 5


def test_tuples_with_names_keep_them():
    kept = frozen(Pair([1], {"a": [2]}))
    assert type(kept) is Pair and kept.left == (1,) and kept.right == {"a": (2,)}
    plain = Version((1, 2))
    assert frozen(plain) is plain
    other = SimpleNamespace(a=1)
    assert frozen(other) is other


@pytest.mark.parametrize(
    "value", [Settings(a=1), Names([1]), type("Few", (set,), {})(), type("Bytes", (bytearray,), {})(), Version(([1],))]
)
@pytest.mark.parametrize("wrapped", [lambda value: value, lambda value: {"within": [value]}])
def test_what_cannot_be_frozen_is_refused(value, wrapped):
    @memo(freeze=True)
    def load(x):
        return wrapped(value)

    with pytest.raises(TypeError, match=rf"load: freeze=True .* {type(value).__name__}.* freeze=function"):
        load(1)
    with pytest.raises(TypeError, match="load: freeze=True"):
        load.set(wrapped(value), 1)
    assert load.cache_info().currsize == 0
    assert memo(freeze=repr)(lambda: value)() == repr(value)
