"""Values as bytes and back, by the annotation: the same types, or an error that says what, where and what to do."""

import enum
import subprocess
import sys
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, Optional, Required, TypedDict, TypeVar, Union
from uuid import UUID, uuid1
from zoneinfo import ZoneInfo

import pytest
from same import assert_same

from tierce import PackError, UnpackError
from tierce.values import Codec, codec_of, codec_of_function

BERLIN = ZoneInfo("Europe/Berlin")


class Color(enum.Enum):
    RED = 1
    BLUE = "b"
    AZURE = "b"


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    HELLO = "hello"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Bits(enum.IntFlag):
    LOW = 1
    HIGH = 1 << 40


class Point(NamedTuple):
    x: int
    y: "str" = "q"


class Options(TypedDict, total=False):
    name: Required[str]
    sizes: list[int]


class Chain(TypedDict):
    value: int
    rest: "Chain | None"
    note: NotRequired[str]


UserId = NewType("UserId", int)
Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None
T = TypeVar("T")


def codec(annotation):
    return codec_of(annotation, "function", namespace=globals())


def check(annotation, *values):
    made = codec(annotation)
    for value in values:
        assert_same(made.unpack(made.pack(value)), value)


PLAIN = [
    (None, None),
    (bool, True, False),
    (int, 0, -1, 127, 128, 2**31, -(2**31), 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, 2**127 - 1, -(2**127)),
    (float, 0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan")),
    (str, "", "é", "\U0001f600", "a" * 31, "a" * 32, "a" * 256, "a" * 70_000, "\0"),
    (bytes, b"", b"\0\xff", b"a" * 300, b"a" * 70_000),
    (bytearray, bytearray(b"ab")),
    (complex, 1j, complex(-0.0, float("inf"))),
    (list[int], [], [1], list(range(15)), list(range(16)), list(range(70_000))),
    (list, [], [1, "a", (2,)]),
    (dict, {}, {1: 2, (1, 2): 3, None: "x", "a": {"b": [1]}}),
    (dict[str, int], {}, {str(number): number for number in range(16)}, {str(number): number for number in range(70_000)}),
    (dict[tuple[int, str], set[int]], {(1, "a"): {1, 2}}),
    (dict[Color, UUID], {Color.RED: UUID(int=1)}),
    (tuple, (), (1, "a")),
    (tuple[()], ()),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (), (1, 2, 3)),
    (set[int], set(), {1, 2}),
    (set, {1, "a", (2,)}),
    (frozenset[str], frozenset("ab")),
    (frozenset[tuple[int, frozenset[int]]], frozenset({(1, frozenset({2}))})),
    (deque[int], deque(), deque([1, 2])),
    (Sequence[int], [1]),
    (Mapping[str, int], {"a": 1}),
    (Optional[int], None, 3),
    (int | None, None, 3),
    (int | str | None | list[int] | dict[str, int] | bool | float | bytes, 1, "a", None, [1], {"a": 1}, True, 1.5, b"x"),
    (float | int, 1, 1.0),
    (Literal["a", 1, True, None, b"x", Color.RED], "a", 1, True, None, b"x", Color.RED),
    (Literal["a"] | int, "a", 3),
    (Literal["a"] | Literal["b"] | None, "a", "b", None),
    (Literal["a"] | str, "a", "b"),
    (Color, Color.RED, Color.BLUE, Color.AZURE),
    (Number, Number.ONE),
    (Word, Word.HELLO),
    (Access, Access.READ, Access.READ | Access.WRITE, Access(0)),
    (Bits, Bits.HIGH | Bits.LOW),
    (Point, Point(1, "a"), Point(2)),
    (Options, {"name": "a"}, {"sizes": [1], "name": "a"}),
    (Chain, {"value": 1, "rest": {"value": 2, "rest": None, "note": "x"}}),
    (UserId, UserId(3)),
    (Annotated[list[Annotated[int, "x"]], 3], [1]),
    ("Json", {"a": [1, {"b": None, "c": [True, 1.5]}]}, [], "a"),
    ("list[Color]", [Color.BLUE]),
    (T, 1, {"a": (1,)}),
    (UUID, UUID(int=2**128 - 1), uuid1()),
    (Decimal, Decimal("1.10"), Decimal("-0"), Decimal("NaN"), Decimal("sNaN12"), Decimal("1E+1000"), Decimal("-Infinity")),
    (date, date.min, date.max),
    (timedelta, timedelta(0), timedelta(-1, 3, 5), timedelta(days=106_000_000)),
]


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: str(case[0])[:40])
def test_a_value_comes_back_as_it_was(case):
    check(*case)


ZONED = [
    datetime.min,
    datetime.max,
    datetime(2024, 1, 2, 3, 4, 5, 6),
    datetime(2024, 1, 2, 3, 4, 5, 6, timezone.utc),
    datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
    datetime(2024, 1, 2, tzinfo=timezone(timedelta(seconds=3601, microseconds=5))),
    datetime(2024, 7, 1, 12, tzinfo=BERLIN),
    # Two hours that are called the same, and one that is not there.
    datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN),
    datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
    datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN),
    datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN, fold=1),
    datetime(2024, 1, 1, tzinfo=BERLIN, fold=1),
    datetime(2024, 1, 1, fold=1),
    datetime(2024, 1, 1, tzinfo=timezone.utc, fold=1),
    datetime(2024, 1, 1, tzinfo=ZoneInfo("Etc/GMT+1")),
]


@pytest.mark.parametrize("value", ZONED, ids=str)
def test_an_instant_keeps_its_zone_and_its_fold(value):
    check(datetime, value)
    check(Any, value)
    for of_day in (value.time(), value.timetz()):
        check(time, of_day)
        check(Any, of_day)


def test_an_instant_of_rfc_9557_is_read_as_others_write_it():
    read = lambda text: codec(datetime).unpack(codec(str).pack(text))  # noqa: E731
    assert read("2024-10-27T02:30:00+01:00[Europe/Berlin]").fold == 1
    assert read("2024-10-27T02:30:00+02:00[Europe/Berlin]").fold == 0
    assert read("2024-07-01T12:00:00Z[u-ca=gregory]") == datetime(2024, 7, 1, 12, tzinfo=timezone.utc)
    assert read("2024-07-01T12:00:00.123456789Z").microsecond == 123456
    assert read("2024-07-01T12:00:00+02:00[+02:00]").utcoffset() == timedelta(hours=2)
    for wrong in (
        "2024-07-01T12:00:00+09:00[Europe/Berlin]", "2024-07-01T12:00:00+02:00[No/Where]", "[Europe/Berlin]",
        "2024-07-01T12:00:00+02:00[!x=y]", "2024-07-01T12:00:00[../../etc/passwd]", "2024-07-01T12:00:00[]", "x]",
        "2024-07-01T12:00:00[/etc/passwd]", "2024-07-01T12:00:00[a=b][", "2024-07-01T12:00:00[Europe]", "now",
    ):  # fmt: skip
        with pytest.raises(UnpackError):
            read(wrong)


BARE = [
    None, True, 1, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, 10**500, -(10**500), 1.5, "é", b"x", bytearray(b"y"),
    bytearray(16), (),
    (1, (2, [3])), tuple(range(300)), {1, 2}, set(), frozenset({3}), set(range(70_000)),
    {1: 2, (1, 2): 3, None: 4, 1.5: 5, b"x": 6},
    date(2024, 1, 2), timedelta.max, timedelta.min, timedelta(1, 2, 3), Decimal("1.10"), Decimal("sNaN"), UUID(int=5), 1j,
    [datetime(2024, 1, 2), {"when": {"at": date(2024, 1, 2), "price": Decimal("3")}}, ((((1,),),),)],
]  # fmt: skip


@pytest.mark.parametrize("value", BARE, ids=lambda value: f"{type(value).__name__}-{str(value)[:20]}")
def test_a_value_without_an_annotation_comes_back_as_it_was(value):
    check(Any, value)
    check(object, value)
    check(list, [value])


def test_what_json_has_is_plain_message_pack():
    assert codec(Any).pack({"a": [1, None, True, "x", 1.5]}) == bytes.fromhex("81a16195 01 c0 c3 a178 cb3ff8000000000000")


REFUSED = [
    (int, True, "result is of the type bool, and the annotation says int"),
    (int, Number.ONE, "Number, and the annotation says int"),
    (int, 2**127, "int of more than 128 bits: annotate it as Any"),
    (int | bytes, 2**64, "int of more than 64 bits"),
    (float, 2**64, "int of more than 64 bits"),
    (float | timedelta, 1, "int, and the annotation says"),
    (str, "\ud800", "half of a surrogate pair"),
    (str, Word.HELLO, "Word, and the annotation says str"),
    (date, datetime(2024, 1, 1), "datetime.datetime, and the annotation says date"),
    (list[int], (1,), "tuple, and the annotation says list"),
    (Sequence[int], (1,), "tuple, and the annotation says"),
    (tuple[int, str], (1,), "has 1 items, and the annotation says 2"),
    (list[int], [1, "a"], r"result\[1\] is of the type str"),
    (dict, OrderedDict(), "OrderedDict, and the annotation says dict"),
    (dict[str, int], {"a": 1, 2: 2}, r"the key of result\[2\] is of the type int"),
    (dict[str, list[Decimal]], {"a b": [Decimal(1), 2.0]}, r'result\["a b"\]\[1\] is of the type float'),
    (set[int], {"a"}, r"result\[a member\] is of the type str"),
    (Options, {"sizes": []}, "has not all of the keys"),
    (Options, {"name": "a", "other": 1}, r'result\["other"\] is none of the keys'),
    (Options, {"name": "a", 3: 1}, r"result\[3\] is none of the keys"),
    (Point, Point(1, 2), r"result\.y is of the type int"),
    (Literal["a", 1], "b", "none of the values of Literal"),
    (Literal[1], True, "none of the values of Literal"),
    (deque[int], deque([1], 3), "maxlen"),
    (Color | None, 3, "int, and the annotation says"),
    (timedelta, timedelta.max, "more than 292,000 years"),
    (datetime, datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1), "X")), "timezone with a name of its own"),
    (Any, object(), "result is of the type object, which has no form without an annotation"),
    (Any, {"items": [1, {"owner": Color.RED}]}, r'result\["items"\]\[1\]\["owner"\] is of the type test_values.Color, which'),
    (Any, range(3), "range, which has no form"),
    (Any, [OrderedDict()], r"result\[0\] is of the type collections.OrderedDict"),
    (Any, Point(1), "Point, which has no form"),
]


@pytest.mark.parametrize("annotation, value, message", REFUSED, ids=lambda one: str(one)[:30])
def test_what_would_come_back_as_another_is_refused_with_its_place(annotation, value, message):
    made = codec(annotation)
    with pytest.raises(PackError, match="^function: .*" + message):
        made.pack(value)


def test_a_zone_that_would_be_lost_is_refused():
    class Mine(tzinfo):
        def utcoffset(self, when):
            return timedelta(0)

    for annotation in (datetime, Any):
        with pytest.raises(PackError, match="function: result has a tzinfo that would be lost, a test_values.*Mine"):
            codec(annotation).pack(datetime(2024, 1, 1, tzinfo=Mine()))


def test_a_value_that_contains_itself_is_refused():
    circle = []
    circle.append(circle)
    with pytest.raises(PackError, match="256 levels deep, or contains itself"):
        codec(Any).pack(circle)
    node = {"value": 1, "rest": None}
    node["rest"] = node
    with pytest.raises(PackError, match="256 levels deep, or contains itself"):
        codec(Chain).pack(node)


def test_values_nest_256_levels():
    value = None
    for _ in range(256):
        value = [value]
    check(Any, value)
    check(list, value)
    with pytest.raises(PackError):
        codec(Any).pack([value])


class Opaque:
    pass


UNFIT = [
    (Opaque, "values of the class test_values.Opaque have no form"),
    (list[dict[str, Opaque]], "class test_values.Opaque have no form"),
    (Callable[[int], int], "have no form"),
    (Generator[int, None, None], "have no form"),
    (type[int], "have no form"),
    (OrderedDict[str, int], "return a plain dict, and annotate that"),
    (int | timedelta, "int and .*timedelta .* are both a whole number"),
    (UUID | bytes, "both a run of bytes"),
    (Color | str, "Color and str .* are both a text"),
    (datetime | date, "both a text"),
    (list[int] | set[int], "both an array"),
    (Options | dict, "both a map"),
    (set[list[int]], "not hashable"),
    (dict[list[int], int], "not hashable"),
    (Literal[Color.RED, "RED"], "two of its values have the name 'RED'"),
    ("Nowhere", "names 'Nowhere', which is not there"),
    ("list[", "is none"),
    (3, "says nothing of what a value is"),
    (tuple[int, *tuple[str, ...]], "part of any length"),
]


@pytest.mark.parametrize("annotation, message", UNFIT, ids=lambda one: str(one)[:30])
def test_an_annotation_whose_values_would_not_come_back_is_refused(annotation, message):
    with pytest.raises(TypeError, match="^function: the return annotation: .*(" + message + ")"):
        codec(annotation)


MISFITS = [
    (int, "a"), (str, 1), (int, None), (list[int], {}), (list[int], ["a"]), (tuple[int, str], [1]), (dict[str, int], {1: 1}),
    (Color, "GREEN"), (Color, 1), (Access, 4), (Access, -1), (Bits, 2), (Bits, 1 << 63), (UUID, b"short"),
    (UUID, "x"), (Decimal, "x"), (date, "x"),
    (date, 3), (Options, {}), (Options, {"name": 1}), (Options, {3: 1}), (Point, {}), (Literal["a"], "b"), (Literal["a"], []),
    (int | str, 1.5), (float, "1"), (bool, 1), (bytes, "a"), (complex, [1]), (timedelta, 1.0), (set[int], [[]]),
    (dict[UUID, int], {"a": 1}), (Point, [1, "a"]), (time, "25:00"), (Chain, {"value": 1, "rest": {"value": 1}}),
]  # fmt: skip


@pytest.mark.parametrize("annotation, stored", MISFITS, ids=lambda one: str(one)[:30])
def test_bytes_of_another_value_are_one_error(annotation, stored):
    with pytest.raises(UnpackError, match="^function: what is stored does not fit: result"):
        codec(annotation).unpack(codec(Any).pack(stored))


def test_fields_that_are_unknown_are_skipped_and_missing_ones_have_their_defaults():
    bare = codec(Any)
    stored = bare.pack({"later": {"a": [1, (2, 3)]}, "x": 1})
    assert_same(codec(Point).unpack(stored), Point(1, "q"))
    stored = bare.pack({"later": [[[]]], "sizes": [1], "name": "x"})
    assert_same(codec(Options).unpack(stored), {"sizes": [1], "name": "x"})


def test_ints_and_floats_of_others_are_read():
    assert_same(codec(float).unpack(bytes.fromhex("ca3fc00000")), 1.5)  # of 32 bits
    assert_same(codec(int).unpack(bytes.fromhex("d3 0000000000000001")), 1)  # not the shortest
    assert_same(codec(int).unpack(bytes.fromhex("c410 ffffffffffffffffffffffffffffffff")), -1)


def test_a_function_is_read_by_its_own_names():
    async def product(number: "Nowhere") -> "dict[str, Color]":  # noqa: F821
        return {}

    made = codec_of_function(product)
    assert isinstance(made, Codec)
    assert_same(made.unpack(made.pack({"a": Color.RED})), {"a": Color.RED})
    with pytest.raises(PackError, match="product: result"):
        made.pack([])


def test_a_function_without_an_annotation_has_the_bare_form():
    def product(number):
        return number

    assert_same(codec_of_function(product).unpack(codec_of_function(product).pack((1, [2]))), (1, [2]))


def test_what_is_awaited_is_the_value():
    def product() -> Awaitable[list[int]]:
        raise NotImplementedError

    assert codec_of_function(product).pack([1]) == b"\x91\x01"


def test_a_wrapper_is_read_by_the_names_of_what_it_wraps():
    import functools
    import types

    module = types.ModuleType("elsewhere")
    exec("class Local(dict): pass\ndef f() -> 'set[Small]': ...\nSmall = int", module.__dict__)
    wrapper = functools.wraps(module.f)(lambda: None)
    assert_same(codec_of_function(wrapper).unpack(codec_of_function(wrapper).pack({1})), {1})


def test_codecs_do_not_mix_up_values_that_are_equal():
    for value in (1, 1.0, True):
        check(Literal[1] if type(value) is int else type(value), value)
    check(Union[bool, int, float], 1, True, 1.0)


def test_a_datetime_that_tests_put_in_its_place_changes_nothing():
    code = (
        "import datetime as module; real = module.datetime; from typing import Any\n"
        "class Fake(real): pass\n"
        "module.datetime = Fake; from tierce.values import codec_of\n"
        "made = codec_of(Any, 'f'); assert type(made.unpack(made.pack(real(2024, 1, 1)))) is real\n"
        "made = codec_of(real | None, 'f'); assert type(made.unpack(made.pack(real(2024, 1, 1)))) is real\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_is_imported_before_a_class_of_it_comes():
    code = (
        "import sys; from tierce.values import codec_of; made = codec_of(dict[str, list[int]], 'f');"
        "made.unpack(made.pack({'a': [1]}));"
        "found = {'pydantic', 'attr', 'attrs', 'msgspec', 'dataclasses', 'decimal', 'uuid', 'inspect', 'datetime', 'pickle'};"
        "assert not found & set(sys.modules), found & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_plan_of_somebody_else_is_refused():
    from tierce import _tierce

    for told in (
        (), (1,), ((), "f", 0), ((("int", "int"),), "f", 1), ((("int", "int"),), "f", -1), ((("no", "x"),), "f", 0),
        ((("list", "x", 3),), "f", 0), ((("record", "x", int, "object", (), (), True, frozenset(), (), (), -1, None),), "f", 0),
        ((("record", "x", list, "tuple", (), (), True, frozenset(), (), (), -1, None),), "f", 0),
        ((("enum", "x", int, None),), "f", 0), ((("union", "x", (), ()),), "f", 0), [],
    ):  # fmt: skip
        with pytest.raises(TypeError):
            _tierce._codec(told)
    with pytest.raises(TypeError):
        Codec()
