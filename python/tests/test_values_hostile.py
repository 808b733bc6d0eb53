"""Values and bytes that mean harm: nothing crashes, leaks or takes more than its share, whatever comes."""

import gc
import os
import random
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass, field, make_dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from typing import Any, NamedTuple, Optional, TypedDict
from uuid import UUID

import pytest
from same import assert_same

from tierce import PackError, UnpackError
from tierce.values import codec_of

SEED = int(os.environ.get("TIERCE_PYTHON_SEED", "1"))
STEPS = int(os.environ.get("TIERCE_PYTHON_STEPS", "40000"))


class Color(Enum):
    RED = 1
    BLUE = 2


class Access(Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: float = 0.5


class Options(TypedDict, total=False):
    name: str
    sizes: list[int]


@dataclass
class Product:
    id: int
    name: str
    owner: "Product | None" = None
    tags: set[str] = field(default_factory=set)
    options: Options = field(default_factory=Options)
    price: Decimal = Decimal(1)
    when: datetime | None = None
    places: dict[UUID, tuple[Point, ...]] = field(default_factory=dict)
    color: Color = Color.RED
    access: Access = Access.READ
    extra: Any = None


PRODUCT = Product(
    1, "lamp", Product(2, "é" * 40, extra=(1, {2: [frozenset({3}), 2**70]})), {"a", "b"}, {"name": "x", "sizes": [1, 2]},
    Decimal("1.10"), datetime(2024, 1, 2, tzinfo=timezone.utc), {UUID(int=5): (Point(1), Point(2, 2.5))}, Color.BLUE,
    Access.READ | Access.WRITE, [bytearray(b"x"), timedelta(1), date(2024, 1, 2), 1j, None, True],
)  # fmt: skip


def codec(annotation):
    return codec_of(annotation, "function", namespace=globals())


# --- values by chance -----------------------------------------------------------------------------


class Chance:
    """Annotations, and values of them."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self):
        return "".join(self.random.choice("aé\U0001f600 \0\"\\") for _ in range(self.random.choice([0, 1, 5, 40, 300])))

    def whole(self):
        bits = self.random.choice([1, 7, 8, 16, 31, 32, 63, 64])
        return self.random.choice([-1, 1]) * self.random.getrandbits(bits) if bits < 64 else self.random.getrandbits(64)

    def scalars(self):
        of = self.random
        return [
            (int, self.whole), (str, self.text), (bool, lambda: of.random() < 0.5), (bytes, lambda: of.randbytes(of.randrange(40))),
            (float, lambda: of.choice([of.random(), float("inf"), -0.0, 1e300, float("nan")])), (None, lambda: None),
            (Decimal, lambda: Decimal(of.randrange(10**6)).scaleb(-of.randrange(9))), (UUID, lambda: UUID(int=of.getrandbits(128))),
            (date, lambda: date.fromordinal(of.randrange(1, 3_000_000))), (Color, lambda: of.choice(list(Color))),
            (datetime, lambda: datetime.fromtimestamp(of.randrange(2**32), timezone(timedelta(minutes=of.randrange(-700, 700))))),
            (timedelta, lambda: timedelta(microseconds=of.randrange(-(2**60), 2**60))), (Any, lambda: self.bare(3)),
        ]  # fmt: skip

    def bare(self, depth):
        of, many = self.random, self.random.randrange(4)
        if depth == 0 or of.random() < 0.4:
            return of.choice(self.scalars()[:9])[1]()
        inner = lambda: self.bare(depth - 1)  # noqa: E731
        key = lambda: of.choice([self.text(), self.whole(), (self.whole(), self.text()), None, b"x"])  # noqa: E731
        return of.choice([
            lambda: [inner() for _ in range(many)], lambda: tuple(inner() for _ in range(many)),
            lambda: {key(): inner() for _ in range(many)}, lambda: {key() for _ in range(many)},
            lambda: frozenset(key() for _ in range(many)), lambda: bytearray(of.randbytes(many)), lambda: of.getrandbits(200),
        ])()  # fmt: skip

    def typed(self, depth):
        """An annotation, and a function that makes a value of it."""
        of = self.random
        if depth == 0 or of.random() < 0.3:
            return of.choice(self.scalars())
        inner, value = self.typed(depth - 1)
        many = lambda: range(of.choice([0, 1, 2, 3, 20]))  # noqa: E731
        key, key_value = of.choice(self.scalars()[:4])
        cases = [
            lambda: (list[inner], lambda: [value() for _ in many()]),
            lambda: (tuple[inner, ...], lambda: tuple(value() for _ in many())),
            lambda: (tuple[inner, key], lambda: (value(), key_value())),
            lambda: (dict[key, inner], lambda: {key_value(): value() for _ in many()}),
            lambda: (set[key], lambda: {key_value() for _ in many()}),
            lambda: (Optional[inner], lambda: None if of.random() < 0.5 else value()),
            lambda: self.record(depth),
        ]
        return of.choice(cases)()

    def record(self, depth):
        fields = [(f"field_{number}", *self.typed(depth - 1)) for number in range(self.random.randrange(5))]
        slots = self.random.random() < 0.5
        made = make_dataclass(f"Record{depth}", [(name, kind) for name, kind, _ in fields], slots=slots)
        return made, lambda: made(*(value() for _, _, value in fields))


def test_values_of_random_annotations_come_back():
    chance = Chance(SEED)
    for _ in range(STEPS // 40):
        annotation, value = chance.typed(3)
        made = codec(annotation)
        for _ in range(3):
            one = value()
            assert_same(made.unpack(made.pack(one)), one)


def test_random_values_without_an_annotation_come_back():
    chance, made = Chance(SEED), codec(Any)
    for _ in range(STEPS // 10):
        value = chance.bare(4)
        assert_same(made.unpack(made.pack(value)), value)


# --- bytes by chance ------------------------------------------------------------------------------


def damaged(of, good):
    """Bytes that were good, changed somewhere."""
    bytes_ = bytearray(good)
    for _ in range(of.choice([1, 1, 1, 2, 5])):
        at = of.randrange(len(bytes_) + 1)
        match of.randrange(5):
            case 0:
                del bytes_[at:]
            case 1 if at < len(bytes_):
                bytes_[at] = of.randrange(256)
            case 2:
                bytes_[at:at] = of.randbytes(of.randrange(5))
            case 3:
                del bytes_[at : at + of.randrange(9)]
            case _:
                # A head that claims much.
                bytes_[at:at] = of.choice([b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9"]) + of.choice([b"\xff" * 4, b"\0\0\0\x09"])
    return bytes(bytes_)


def read_damaged(steps, seed):
    of = random.Random(seed)
    good = []
    chance = Chance(seed)
    for made, value in ((codec(Product), PRODUCT), (codec(Any), chance.bare(5)), (codec(list[Point]), [Point(1)] * 20)):
        good.append((made, made.pack(value)))
    for _ in range(20):
        annotation, value = chance.typed(3)
        made = codec(annotation)
        good.append((made, made.pack(value())))
    read = 0
    for _ in range(steps):
        made, bytes_ = of.choice(good)
        bytes_ = damaged(of, bytes_) if of.random() < 0.95 else of.choice(good)[1]
        try:
            value = made.unpack(bytes_)
        except UnpackError:
            continue
        # What is read has the type that is annotated: it can be packed.
        assert_same(made.unpack(made.pack(value)), value)
        read += 1
    return read


def in_a_child(code):
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", f"from test_values_hostile import *\n{code}"],
        cwd=os.path.dirname(__file__), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_damaged_bytes_are_an_error_or_a_value():
    read = in_a_child(f"print(read_damaged({STEPS}, {SEED}))")
    assert int(read) > STEPS // 200


def test_every_beginning_of_good_bytes_is_an_error():
    for made, value in ((codec(Product), PRODUCT), (codec(Any), [{"a": (1, {2})}, 2**80, Decimal(1), UUID(int=3)])):
        good = made.pack(value)
        for end in range(len(good)):
            with pytest.raises(UnpackError):
                made.unpack(good[:end])
        with pytest.raises(UnpackError, match="more bytes behind it"):
            made.unpack(good + b"\xc0")


def test_every_single_byte_is_an_error_or_a_value():
    made = codec(Any)
    for first in range(256):
        for second in range(256):
            try:
                made.unpack(bytes([first, second]))
            except UnpackError:
                pass


NESTED = [
    (list, b"\x91"), (Any, b"\x91"), (Any, b"\x81\xa1a"), (dict, b"\x81\xa1a"), (Any, b"\xc9\x00\x00\xff\xff\x01\x91"),
    (Product, b"\x81\xa5owner"), (Product, b"\x81\xa7unknown"), (Product, b"\x81\xa5extra" + b"\x91" * 300),
]  # fmt: skip


@pytest.mark.parametrize("annotation, level", NESTED, ids=repr)
def test_bytes_that_nest_without_end_are_an_error(annotation, level):
    with pytest.raises(UnpackError):
        codec(annotation).unpack(level * 100_000)


def test_unknown_fields_are_skipped_at_any_depth():
    deep = b"\x91" * 100_000 + b"\xc0"
    assert codec(Point).unpack(b"\x82\xa5other" + deep + b"\xa1x\x01") == Point(1)


CLAIMS = [
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01",
    b"\xdd\x00\x0f\x00\x00", b"\xdf\x00\x07\x00\x00\x01", b"\xc9\x00\x0f\x00\x00\x01\xdd\x00\x0f\x00\x00",
]  # fmt: skip


def highest_memory(claim):
    """Bytes by which the process grew while it read claims, of which each is in the one before."""
    import resource

    used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # noqa: E731
    bytes_ = claim * (1_000_000 // len(claim))
    readers = [codec(Any), codec(list), codec(tuple), codec(set), codec(dict), codec("list[list]"), codec(Product)]
    before = used()
    for made in readers:
        with pytest.raises(UnpackError):
            made.unpack(bytes_)
    return used() - before


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ru_maxrss has another unit")
def test_what_bytes_claim_is_not_allocated():
    for claim in CLAIMS:
        grew = int(in_a_child(f"print(highest_memory({claim!r}))"))
        # A megabyte of them: some words each at most, not 256 times that.
        assert grew < 30_000_000, (claim, grew)


def test_a_count_that_is_too_large_is_refused_before_its_items_are_read():
    for head in (b"\xdd\x00\x00\x10\x00", b"\xdf\x00\x00\x08\x00", b"\x92\xdd\x00\x00\x0f\xff"):
        with pytest.raises(UnpackError, match=r"does not fit: result(\[0\])? goes beyond the end"):
            codec(Any).unpack(head + b"\x01" * 4000)


# --- objects that mean harm -----------------------------------------------------------------------


@dataclass
class Trap:
    id: int
    part: object = None


class Trapped(Trap):
    """Whose parts are asked for through code of its own."""

    action = staticmethod(lambda: 1)

    def __getattribute__(self, name):
        return Trapped.action() if name == "part" else object.__getattribute__(self, name)


def trapped(action):
    Trapped.action = staticmethod(action)
    return Trapped(1)


def test_a_container_that_changes_while_it_is_packed_is_an_error():
    def of(container, change):
        def act():
            change(container)
            return 1

        return trapped(act)

    list_, shrunk, dict_, grown = [], [], {}, {}
    list_ += [of(list_, list.clear), 1, 2]
    shrunk += [1, of(shrunk, lambda one: one.append(3))]
    dict_ |= {"a": of(dict_, dict.clear), "b": 1}
    grown |= {"a": of(grown, lambda one: one.update(c=3)), "b": 1}
    for annotation, value in (
        (list[Trapped | int], list_), (list[Trapped | int], shrunk),
        (dict[str, Trapped | int], dict_), (dict[str, Trapped | int], grown),
    ):  # fmt: skip
        holder = next(one for one in (value.values() if isinstance(value, dict) else value) if isinstance(one, Trapped))
        change = {id(list_): list.clear, id(shrunk): lambda one: one.append(3), id(dict_): dict.clear}
        Trapped.action = staticmethod(lambda: change.get(id(value), lambda one: one.update(c=3))(value))
        with pytest.raises(PackError, match="changed while it was packed"):
            codec(annotation).pack(value)
        del holder


def test_what_a_property_raises_reaches_the_caller():
    def fail():
        raise ArithmeticError("mine")

    with pytest.raises(ArithmeticError, match="mine"):
        codec(list[Trapped]).pack([trapped(fail)])


def test_a_property_that_packs_its_own_value_ends_in_an_error():
    made = codec(list[Trapped])
    value = [None]
    value[0] = trapped(lambda: made.pack(value))
    with pytest.raises(RecursionError):
        made.pack(value)
    in_a_child(
        "made = codec(list[Trapped]); value = [None] * 3\n"
        "value[:] = [trapped(lambda: made.pack(value))] * 3\n"
        "try: made.pack(value)\nexcept RecursionError: pass"
    )


@dataclass(frozen=True)
class Key:
    number: int
    action = staticmethod(lambda: None)

    def __hash__(self):
        Key.action()
        return hash(self.number)

    def __eq__(self, other):
        Key.action()
        return self.number == other.number


@pytest.fixture
def keys():
    """Bytes of a dict and a set of keys, whose hash is told what to do after they were packed."""
    Key.action = staticmethod(lambda: None)
    readers = [codec(dict[Key, int]), codec(set[Key]), codec(frozenset[Key])]
    values = [{Key(1): 1, Key(2): 2}, {Key(1), Key(2)}, frozenset({Key(1), Key(2)})]
    yield [(made, made.pack(value)) for made, value in zip(readers, values)]
    Key.action = staticmethod(lambda: None)


def test_a_hash_that_raises_makes_the_bytes_an_error(keys):
    def fail():
        raise ArithmeticError("mine")

    Key.action = staticmethod(fail)
    for made, bytes_ in keys:
        with pytest.raises(UnpackError, match="could not be made again: ArithmeticError") as caught:
            made.unpack(bytes_)
        assert isinstance(caught.value.__cause__, ArithmeticError)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RecursionError])
def test_an_error_of_the_process_is_none_of_the_bytes(keys, error):
    def fail():
        raise error

    Key.action = staticmethod(fail)
    for made, bytes_ in keys:
        with pytest.raises(error):
            made.unpack(bytes_)


def test_a_hash_sees_nothing_that_is_half_made(keys):
    seen = []

    def look():
        # An item that is not there yet would be a null, and this a crash.
        seen.append(sum(len(repr(one)) for one in gc.get_objects() if type(one) in (list, tuple) and len(one) == 77))

    made = codec("list[dict[Key, int]]")
    bytes_ = made.pack([{Key(number): 1} for number in range(77)])
    Key.action = staticmethod(look)
    assert len(made.unpack(bytes_)) == 77 and seen


def test_an_object_that_is_given_up_was_never_there():
    alive = []

    @dataclass
    class Mourned:
        id: int
        rest: "Mourned | None" = None

        def __del__(self):
            alive.append(self.id)

    made = codec(list[Mourned])
    with pytest.raises(UnpackError):
        made.unpack(codec(Any).pack([{"id": "x"}]))
    with pytest.raises(UnpackError):
        made.unpack(codec(Any).pack([{"id": 1, "rest": {"id": 2, "rest": 3}}]))
    assert alive == []


def test_a_metaclass_that_lies_about_its_name_is_told_as_it_is():
    class Liar(type):
        def __getattribute__(cls, name):
            raise ArithmeticError(name)

    value = Liar("Value", (), {"__module__": "m"})()
    with pytest.raises(PackError, match="result is of the type m.Value, which has no form"):
        codec(Any).pack(value)


def test_a_codec_in_a_cycle_is_collected():
    @dataclass
    class Local:
        id: int

    made = codec(Local)
    Local.codec = made
    reference = weakref.ref(Local)
    del made, Local
    gc.collect()
    assert reference() is None


def test_threads_may_share_a_codec():
    made, wrong = codec(Product), []
    good = made.pack(PRODUCT)

    def work():
        for _ in range(500):
            if made.unpack(good) != PRODUCT or made.unpack(made.pack(PRODUCT)) != PRODUCT:
                wrong.append(1)

    all_ = [threading.Thread(target=work) for _ in range(4)]
    for one in all_:
        one.start()
    for one in all_:
        one.join()
    assert not wrong


# --- leaks ----------------------------------------------------------------------------------------


def leaked_blocks(action, times):
    """Blocks of memory that were left, and references to what a codec holds."""
    held = [Product, Point, Color.BLUE, Access, "owner", PRODUCT.name, PRODUCT.price]
    for _ in range(times // 10):
        action()
    gc.collect()
    before = sys.getallocatedblocks(), [sys.getrefcount(one) for one in held]
    for _ in range(times):
        action()
    gc.collect()
    after = sys.getallocatedblocks(), [sys.getrefcount(one) for one in held]
    return after[0] - before[0] + sum(abs(one - other) for one, other in zip(after[1], before[1]))


def test_a_million_operations_leave_nothing_behind():
    small, made, bare = codec(Point), codec(Product), codec(Any)
    good, point = made.pack(PRODUCT), small.pack(Point(300))
    everything = [PRODUCT.options, PRODUCT.when, PRODUCT.price, (1, {2}, frozenset({3}), 2**80, 1j, bytearray(b"x"), UUID(int=1))]
    bare_good = bare.pack(everything)
    wrong = [Product(1, "x", Product(2, 3)), Product(1, "x", extra=[object()]), 3]
    bad = [good[:-1], good + b"\0", point, b"", codec(Any).pack({"id": 1, "name": "x", "color": "GREEN"})]

    def errors():
        for value in wrong:
            try:
                made.pack(value)
            except PackError:
                pass
        for bytes_ in bad:
            try:
                made.unpack(bytes_)
            except UnpackError:
                pass

    actions = [
        (lambda: small.unpack(small.pack(Point(300))), 400_000), (lambda: made.unpack(made.pack(PRODUCT)), 20_000),
        (lambda: bare.unpack(bare.pack(everything)), 20_000), (lambda: bare.unpack(bare_good), 20_000), (errors, 15_000),
    ]  # fmt: skip
    for number, (action, times) in enumerate(actions):
        # What a leak leaves grows with the times; what else varies does not.
        left = leaked_blocks(action, times)
        assert left < times // 50, (number, left)


def test_the_deepest_value_fits_on_a_small_stack():
    # What a thread has on a system of 128 KiB stacks, doubled for Python's own frames.
    in_a_child(
        "threading.stack_size(256 * 1024)\n"
        "deep, done = b'\\x91' * 256 + b'\\xc0', []\n"
        "def work():\n"
        "    for made in (codec(Any), codec(list), codec('dict[str, Any]')):\n"
        "        for bytes_ in (deep, b'\\x81\\xa1a' + deep[1:]):\n"
        "            try: assert made.pack(made.unpack(bytes_)) == bytes_\n"
        "            except UnpackError: pass\n"
        "    product = None\n"
        "    for number in range(250): product = Product(number, 'x', product)\n"
        "    made = codec(Product)\n"
        "    done.append(len(made.pack(made.unpack(made.pack(product)))))\n"
        "one = threading.Thread(target=work); one.start(); one.join(); assert done[0] > 10_000"
    )
