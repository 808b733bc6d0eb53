"""Classes with fields as bytes and back: the standard library's, attrs', pydantic's and msgspec's."""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Generic, NamedTuple, TypedDict, TypeVar

import attrs
import msgspec
import pydantic
import pytest
from same import assert_same

from tierce import PackError, UnpackError
from tierce.values import codec_of

T = TypeVar("T")
S = TypeVar("S")


def codec(annotation):
    return codec_of(annotation, "function", namespace=globals())


def returned(annotation, value):
    made = codec(annotation)
    found = made.unpack(made.pack(value))
    assert_same(found, value)
    return found


def stored(value):
    return codec(Any).pack(value)


# --- dataclasses ----------------------------------------------------------------------------------


@dataclass
class Base:
    id: int
    LIMIT: ClassVar[int] = 3


@dataclass
class Node(Base):
    rest: "Node | None" = None
    children: "list[Node]" = field(default_factory=list, repr=False, compare=False)
    by_name: "dict[str, Node]" = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    a: int
    b: tuple[int, ...] = ()


@dataclass
class Counted:
    """A value that would be changed by each making."""

    number: int
    seed: InitVar[int] = 5
    total: int = field(init=False)

    def __post_init__(self, seed):
        self.number += 1
        self.total = self.number * seed


@dataclass
class Page(Generic[T]):
    items: list[T]
    more: "dict[str, T] | None" = None


@dataclass
class Both(Page[list[T]], Generic[S, T]):
    other: S = None


@dataclass
class Names(Both[int, str]):
    pass


@dataclass(eq=False)
class Area:
    width: int

    @cached_property
    def area(self):
        return self.width**2


def test_a_dataclass_may_contain_itself():
    returned(Node, Node(1, Node(2), [Node(3, None, [Node(4)])], by_name={"a": Node(5)}))
    returned(list[Node] | None, [Node(1)])


def test_a_dataclass_may_be_frozen_and_have_slots():
    found = returned(Frozen, Frozen(a=1, b=(2, 3)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.a = 2


def test_a_dataclass_is_made_without_its_init():
    found = returned(Counted, Counted(1))
    assert (found.number, found.total) == (2, 10)


def test_a_field_without_a_value_is_refused():
    value = Counted(1)
    del value.total
    with pytest.raises(PackError, match="has no value for its field total"):
        codec(Counted).pack(value)


def test_a_field_that_is_missing_has_its_default():
    assert codec(Node).unpack(stored({"id": 1})) == Node(1)
    assert codec(Node).unpack(stored({"new": [], "id": 1, "rest": None})) == Node(1)
    assert codec(Frozen).unpack(stored({"b": [], "a": 1})) == Frozen(a=1)
    with pytest.raises(UnpackError, match="has nothing for id, which has no default"):
        codec(Node).unpack(stored({"rest": None}))


def test_a_default_is_made_anew_each_time():
    made = codec(Node)
    one, other = made.unpack(stored({"id": 1})), made.unpack(stored({"id": 1}))
    assert one.children is not other.children


def test_generic_dataclasses_have_their_arguments():
    returned(Page[Node], Page([Node(1)], {"a": Node(2)}))
    returned(Page[int], Page[int]([1]))
    returned(Page, Page([1, (2,)]))
    returned(Names, Names([["a"]], {"x": ["b"]}, 3))
    for wrong in (Names([1]), Names([["a"]], None, "x"), Names([[1]])):
        with pytest.raises(PackError):
            codec(Names).pack(wrong)
    with pytest.raises(PackError, match=r"result\.items\[0\]"):
        codec(Page[int]).pack(Page(["a"]))


def test_an_instance_of_a_subclass_is_refused():
    with pytest.raises(PackError, match="Node, and the annotation says Base"):
        codec(Base).pack(Node(1))


def test_an_attribute_that_is_no_field_is_refused():
    value = Node(1)
    value.note = 3
    with pytest.raises(PackError, match='result has an attribute "note" that is no field'):
        codec(Node).pack(value)
    with pytest.raises(PackError, match=r'result\[0\]\.rest has an attribute "note"'):
        codec(list[Node]).pack([Node(2, value)])
    del value.note, value.rest  # the class has the default
    value.note = 3
    with pytest.raises(PackError, match="note"):
        codec(Node).pack(value)


def test_what_is_computed_once_is_computed_again():
    value = Area(3)
    assert value.area == 9
    made = codec(Area)
    found = made.unpack(made.pack(value))
    assert vars(found) == {"width": 3} and found.area == 9


class Slotted:
    __slots__ = ("__hidden", "shown")


@dataclass
class WithSlots(Slotted):
    __slots__ = ("a", "b")
    a: int
    b: int


def test_a_slot_that_is_no_field_is_refused_when_it_is_set():
    value = WithSlots(1, 2)
    returned(WithSlots, value)
    value.shown = 3
    with pytest.raises(PackError, match="has a slot that is no field"):
        codec(WithSlots).pack(value)
    del value.shown
    value._Slotted__hidden = 3
    with pytest.raises(PackError, match="has a slot that is no field"):
        codec(WithSlots).pack(value)


@dataclass
class Ours(Exception):
    code: int


@dataclass
class Known:
    id: int

    def __new__(cls, *args):
        return super().__new__(cls)


@dataclass
class Abstract(ABC):
    id: int

    @abstractmethod
    def method(self): ...


@dataclass
class OfList(list):
    id: int


@pytest.mark.parametrize("kind", [Ours, Known, OfList])
def test_a_class_with_a_new_of_its_own_is_refused(kind):
    with pytest.raises(TypeError, match=f"class {kind.__name__} has a __new__ of its own"):
        codec(kind)


def test_an_abstract_class_is_no_value():
    with pytest.raises(UnpackError):
        codec(Abstract).unpack(stored({"id": 1}))


@dataclass
class Hidden:
    """Whose attributes say what they like."""

    id: int

    def __getattribute__(self, name):
        if name in ("__dict__", "__class__"):
            raise ArithmeticError(name)
        return object.__getattribute__(self, name)

    def __setattr__(self, name, value):
        if name == "id":
            value += 100
        object.__setattr__(self, name, value)


def test_a_class_that_hides_its_attributes_is_looked_at_past_them():
    value, made = Hidden(1), codec(Hidden)
    found = made.unpack(made.pack(value))
    assert type(found) is Hidden and found.id == value.id == 101


@dataclass
class Holder:
    part: "Late"


@dataclass
class Late:
    id: int


def test_a_class_that_is_defined_later_is_found_when_it_is_needed():
    returned(Holder, Holder(Late(1)))


def test_a_class_of_a_function_may_contain_itself():
    @dataclass
    class Local:
        rest: "Local | None" = None

    returned(Local, Local(Local()))


@dataclass
class Outer:
    @dataclass
    class Inner:
        id: int

    LIMIT: "ClassVar[Nowhere]"  # noqa: F821
    inner: "Inner"
    int: "int" = 3
    given: "InitVar[Nowhere | None]" = None  # noqa: F821


def test_only_the_fields_need_their_names():
    returned(Outer, Outer(Outer.Inner(1)))


# --- named tuples and typed dicts -----------------------------------------------------------------


class Pair(NamedTuple, Generic[T]):
    one: T
    other: list[T] = []


class Record(TypedDict, Generic[T]):
    value: T
    rest: "Record[T] | None"


class SubRecord(Record[list[int]]):
    more: str


class Wide(Pair):
    """A subclass, whose instances have a __dict__."""


def test_generic_tuples_and_dicts_have_their_arguments():
    returned(Pair[Node], Pair(Node(1), [Node(2)]))
    returned(Record[int], {"value": 1, "rest": {"rest": None, "value": 2}})
    returned(SubRecord, {"value": [1], "rest": None, "more": "x"})
    with pytest.raises(PackError, match=r'result\["value"\]\[0\]'):
        codec(SubRecord).pack({"value": ["x"], "rest": None, "more": "x"})
    with pytest.raises(PackError, match=r'result\["rest"\]\["value"\]'):
        codec(Record[int]).pack({"value": 1, "rest": {"rest": None, "value": "x"}})


def test_a_subclass_of_a_named_tuple_is_its_own_type():
    value = Wide(1)
    returned(Wide, value)
    value.note = 3
    with pytest.raises(PackError, match="note"):
        codec(Wide).pack(value)
    with pytest.raises(PackError):
        codec(Pair[int]).pack(Wide(1))


# --- attrs ----------------------------------------------------------------------------------------


@attrs.define
class Attrs:
    _hidden: int
    prices: list[Decimal] = attrs.field(factory=list, converter=lambda given: [*given, Decimal(0)])
    checked: int = attrs.field(default=1, validator=attrs.validators.lt(10))
    derived: int = attrs.field(init=False)

    def __attrs_post_init__(self):
        self.derived = self._hidden * 2


@attrs.frozen(cache_hash=True)
class Hashed:
    x: int


@attrs.frozen(cache_hash=True, slots=False)
class HashedDict:
    x: int


@attrs.define(slots=False)
class AttrsDict(Generic[T]):
    x: T
    y: int = attrs.field(default=attrs.Factory(lambda self: self.x, takes_self=True))


@attrs.define
class AttrsCached:
    x: int

    @cached_property
    def double(self):
        return self.x * 2


def test_attrs_are_made_without_converters_and_validators():
    value = Attrs(3, [Decimal("1.0")])
    found = returned(Attrs, value)
    assert found == value and found.prices == [Decimal("1.0"), Decimal(0)] and found.derived == 6
    assert codec(Attrs).unpack(stored({"_hidden": 1, "derived": 2})).prices == []


@pytest.mark.parametrize("kind", [Hashed, HashedDict])
def test_attrs_that_keep_their_hash_have_one_again(kind):
    value = kind(3)
    hash(value)
    assert hash(returned(kind, value)) == hash(value)


def test_attrs_may_be_generic_and_have_a_dict():
    returned(AttrsDict[list[int]], AttrsDict([1], 2))
    with pytest.raises(UnpackError, match="nothing for y"):
        codec(AttrsDict[int]).unpack(stored({"x": 1}))


def test_attrs_may_compute_once():
    value, made = AttrsCached(3), codec(AttrsCached)
    assert made.unpack(made.pack(value)).double == 6
    assert value.double == 6
    assert made.unpack(made.pack(value)).double == 6


# --- pydantic -------------------------------------------------------------------------------------


class Model(pydantic.BaseModel):
    id: int
    name: str = pydantic.Field("x", alias="theName")
    prices: list[Decimal] = []
    rest: "Model | None" = None
    made: float = pydantic.Field(default_factory=lambda: next(_TICKS), exclude=True)

    @pydantic.field_validator("id")
    @classmethod
    def _add(cls, value):
        return value + 1


_TICKS = iter(range(1_000_000))


class Private(pydantic.BaseModel):
    id: int
    _count: int = 3
    _made: list = pydantic.PrivateAttr(default_factory=list)
    _never: int

    def model_post_init(self, context):
        self._count += 1


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", frozen=True)
    id: int = 1


class OpenInts(Open):
    __pydantic_extra__: "dict[str, list[int]]"


class Root(pydantic.RootModel[list[int]]):
    pass


class PydanticPage(pydantic.BaseModel, Generic[T]):
    items: list[T]


@pydantic.dataclasses.dataclass
class PydanticData:
    id: int
    parts: list[Model] = pydantic.Field(default_factory=list)


def test_a_model_is_made_without_its_validators():
    value = Model(id=1, theName="a", rest=Model(id=2))
    found = returned(Model, value)
    assert found.id == 2 and found.rest.id == 3 and found.made == value.made
    assert found.model_fields_set == {"id", "name", "rest"} and found.rest.model_fields_set == {"id"}
    assert found.model_dump(exclude_unset=True) == value.model_dump(exclude_unset=True)
    found.name = "b"
    assert found.model_dump_json() != value.model_dump_json()


def test_a_field_of_a_model_that_is_missing_has_its_default():
    found = codec(Model).unpack(stored({"id": 1, "unknown": {}}))
    assert (found.id, found.name, found.rest) == (1, "x", None)
    with pytest.raises(UnpackError):
        codec(Model).unpack(stored({"name": "x"}))


def test_private_attributes_of_a_model_come_back():
    value = Private(id=1)
    value._made.append((1, 2))
    found = returned(Private, value)
    assert (found._count, found._made) == (4, [(1, 2)])
    found._never = 5
    assert returned(Private, found)._never == 5
    found = codec(Private).unpack(stored({"id": 1}))
    assert (found._count, found._made) == (3, [])
    value._made.append(object())
    with pytest.raises(PackError, match=r"result\[?.*_made.*is of the type object"):
        codec(Private).pack(value)


def test_extras_of_a_model_come_back():
    value = Open(z=[1, (2,)], a=None)
    found = returned(Open, value)
    assert found.z == [1, (2,)] and found.model_extra == value.model_extra
    assert found.model_fields_set == value.model_fields_set
    assert returned(Open, Open()).model_extra == {}
    returned(OpenInts, OpenInts(z=[1]))
    with pytest.raises(PackError, match="extra of the model that has no place"):
        codec(Open).pack(Open(**{"$unset": 1}))


def test_roots_generics_and_dataclasses_of_pydantic_come_back():
    returned(Root, Root([1, 2]))
    returned(PydanticPage[int], PydanticPage[int](items=["1"]))
    returned(PydanticPage[Model], PydanticPage[Model](items=[Model(id=1)]))
    returned(PydanticData, PydanticData(id="1", parts=[Model(id=2)]))
    with pytest.raises(PackError):
        codec(PydanticPage[int]).pack(PydanticPage[str](items=["1"]))


def test_models_of_pydantic_1_are_refused():
    from pydantic.v1 import BaseModel

    class Old(BaseModel):
        id: int

    with pytest.raises(TypeError, match="model of pydantic 1"):
        codec(Old)


def test_a_model_with_a_part_that_has_no_form_is_refused_by_its_name():
    class Secret(pydantic.BaseModel):
        key: pydantic.SecretStr

    with pytest.raises(TypeError, match="Secret.key: "):
        codec(Secret)


# --- msgspec --------------------------------------------------------------------------------------


class Struct(msgspec.Struct, tag=True, rename="camel"):
    some_thing: int
    other_things: dict[str, int] = {}
    rest: "Struct | None" = None


class Numbered(msgspec.Struct, tag_field="kind", tag=3, frozen=True, array_like=True):
    a: int
    b: list[int] = msgspec.field(default_factory=list)


class Posted(msgspec.Struct, Generic[T]):
    number: int
    of: T

    def __post_init__(self):
        self.number += 1


class StructDict(msgspec.Struct, dict=True):
    a: int


def test_structs_come_back():
    returned(Struct, Struct(1, {"a": 2}, Struct(3)))
    returned(Numbered, Numbered(1, [2]))
    found = returned(Posted[list[int]], Posted(1, [1]))
    assert found.number == 2


def test_structs_have_the_names_and_tags_that_they_ask_for():
    assert codec(Any).unpack(codec(Struct).pack(Struct(1))) == {"type": "Struct", "someThing": 1, "otherThings": {}, "rest": None}
    assert codec(Any).unpack(codec(Numbered).pack(Numbered(1))) == {"kind": 3, "a": 1, "b": []}
    assert codec(Struct).unpack(stored({"someThing": 1, "type": "Struct"})) == Struct(1)
    for wrong in ({"someThing": 1}, {"someThing": 1, "type": "Other"}, {"type": "Struct"}):
        with pytest.raises(UnpackError):
            codec(Struct).unpack(stored(wrong))


class Raising(msgspec.Struct):
    a: int

    def __post_init__(self):
        if self.a < 0:
            raise ArithmeticError("mine")


def test_what_a_constructor_raises_makes_the_bytes_an_error():
    assert codec(Raising).unpack(stored({"a": 1})) == Raising(1)
    with pytest.raises(UnpackError, match="could not be made again: ArithmeticError") as caught:
        codec(Raising).unpack(stored({"a": -1}))
    assert str(caught.value.__cause__) == "mine"


def test_an_attribute_of_a_struct_that_is_no_field_is_refused():
    value = StructDict(1)
    returned(StructDict, value)
    value.note = 2
    with pytest.raises(PackError, match="note"):
        codec(StructDict).pack(value)
