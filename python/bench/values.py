"""A value of some 230 bytes as bytes and back: a dict, and a dataclass in a dataclass."""

import dataclasses
import json
import pickle

from tierce.values import codec_of

from .contenders import msgspec, pydantic


@dataclasses.dataclass
class Owner:
    id: int
    name: str


@dataclasses.dataclass
class Product:
    id: int
    name: str
    mail: str
    price: float
    active: bool
    tags: list[str]
    owner: Owner
    note: str
    created: int


PRODUCT = Product(
    1234567, "Brass desk lamp, 1930", "orders@lamps.example.com", 129.5, True, ["brass", "desk lamp", "made before 1940"],
    Owner(34, "Ann Example"), "Rewired, with a new plug and a shade of green glass.", 1_700_000_000,
)  # fmt: skip
DICT = dataclasses.asdict(PRODUCT)


def of_dicts():
    """By name: what makes bytes of a dict, and what makes a dict of them."""
    ours = codec_of(dict, "bench")
    found = {"ours": (ours.pack, ours.unpack), "json": (lambda value: json.dumps(value).encode(), json.loads)}
    found["pickle"] = (pickle.dumps, pickle.loads)
    if msgspec:
        found["msgspec"] = (msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode)
        found["msgspec json"] = (msgspec.json.Encoder().encode, msgspec.json.Decoder().decode)
    return found


def of_dataclasses():
    """The same of a dataclass."""
    ours = codec_of(Product, "bench")
    found = {"ours": (ours.pack, ours.unpack), "pickle": (pickle.dumps, pickle.loads)}
    found["json, by hand"] = (lambda value: json.dumps(dataclasses.asdict(value)).encode(), _by_hand)
    if msgspec:
        found["msgspec"] = (msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Product).decode)
        found["msgspec json"] = (msgspec.json.Encoder().encode, msgspec.json.Decoder(Product).decode)
    if pydantic:
        adapter = pydantic.TypeAdapter(Product)
        found["pydantic"] = (adapter.dump_json, adapter.validate_json)
    return found


def _by_hand(bytes_):
    fields = json.loads(bytes_)
    return Product(**fields | {"owner": Owner(**fields["owner"])})


def packing(contenders, value, loop):
    """Loops that make bytes of the value, and an empty one."""
    found = {name: (lambda pack=pack: loop("pack(value)", pack=pack, value=value)) for name, (pack, _) in contenders.items()}
    found[""] = lambda: loop("pass")
    return found


def unpacking(contenders, value, loop):
    """Loops that make the value of its bytes; each contender's are read back first."""
    found = {}
    for name, (pack, unpack) in contenders.items():
        bytes_ = pack(value)
        if unpack(bytes_) != value:
            raise ValueError(f"{name} gives another value back")
        found[name] = lambda unpack=unpack, bytes_=bytes_: loop("unpack(bytes_)", unpack=unpack, bytes_=bytes_)
    found[""] = lambda: loop("pass")
    return found
