"""The values of crates/tierce/tests/golden/values.jsonl, which Rust's tests read and write as well.

TIERCE_WRITE_GOLDEN=1 writes what Python writes anew; a change of it is a change of
what processes share.
"""

import json
import math
import os
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from same import assert_same

from tierce.values import codec_of

PATH = Path(__file__).parents[2] / "crates" / "tierce" / "tests" / "golden" / "values.jsonl"


class Room(Enum):
    Desk = 1
    Floor = 2


class Size(NamedTuple):
    width: int
    label: str


@dataclass
class Lamp:
    name: str
    price: float
    sold: int | None
    room: Room
    sizes: list[tuple[int, str]]
    notes: dict[str, bool]
    by_number: dict[int, str]
    id: UUID
    inner: "Lamp | None" = None


@dataclass
class Later:
    name: str
    stock: int = 0
    tags: list[str] = field(default_factory=list)


LAMP = Lamp("lamp", 1.5, None, Room.Desk, [(1, "a"), (200, "b")], {"new": True}, {-1: "x", 300: "y"}, UUID(int=7))
WIDTHS = [2**width + more for width in (5, 7, 8, 15, 16, 31, 32, 62) for more in (-1, 0)]
WIDTHS = [sign * number for number in WIDTHS for sign in (1, -1)] + [0, 2**63 - 1, -(2**63)]

# What it is about; the annotation; the value; who writes these bytes, where the other only reads them.
VALUES = [
    ("a struct", Lamp, LAMP, "both"),
    ("a struct in a struct", Lamp, Lamp("é", -0.0, -5, Room.Floor, [], {}, {}, UUID(int=2**128 - 1), LAMP), "both"),
    ("integers of each width", list[int], WIDTHS, "both"),
    ("the largest integer of 64 bits", int, 2**64 - 1, "both"),
    ("an integer of 128 bits", int, -(2**100), "both"),
    ("floats", list[float], [0.0, 1.0, 1e300, math.inf, -math.inf], "both"),
    ("texts of each length", list[str], ["", "a" * 31, "a" * 32, "a" * 255, "a" * 256], "both"),
    ("bytes", bytes, b"\0\xff", "both"),
    ("a tuple", tuple[int, str, None], (1, "a", None), "both"),
    ("a named tuple is a struct", Size, Size(3, "wide"), "both"),
    ("a date", date, date(2024, 1, 2), "both"),
    ("an instant in UTC", datetime, datetime(2024, 1, 2, 3, 4, 5, 6000, timezone.utc), "both"),
    ("an instant with an offset", datetime, datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=-5))), "both"),
    ("an instant without a zone", datetime, datetime(2024, 1, 2, 3, 4, 5), "both"),
    ("an instant in a named zone", datetime, datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")), "both"),
    ("the second of two equal hours", datetime, datetime(2024, 10, 27, 2, 30, fold=1), "both"),
    ("a time", time, time(12, 30), "both"),
    ("a decimal", Decimal, Decimal("1.10"), "both"),
    ("a duration in microseconds", timedelta, timedelta(seconds=-1, microseconds=5), "both"),
    ("an int where a float is annotated", float, 3, "python"),
    ("an integer of few bits in 128", int, 5, "rust"),
    ("a float of 32 bits", float, 1.5, "rust"),
    ("a struct with fields that are unknown and missing", Later, Later("lamp"), "rust"),
    ("bare: what JSON has", Any, {"a": [1, None, True, "x", 1.5], "b": {}}, "python"),
    ("bare: keys of any type", Any, {1: "a", None: "b", b"x": "c"}, "python"),
    ("bare: a tuple", Any, (1, (2,)), "python"),
    ("bare: a set", Any, {1}, "python"),
    ("bare: a frozenset", Any, frozenset({1}), "python"),
    ("bare: a bytearray", Any, bytearray(b"x"), "python"),
    ("bare: a datetime", Any, datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc), "python"),
    ("bare: a date", Any, date(2024, 1, 2), "python"),
    ("bare: a time", Any, time(3, 4, 5), "python"),
    ("bare: a timedelta", Any, timedelta(1), "python"),
    ("bare: a long timedelta", Any, timedelta.max, "python"),
    ("bare: a Decimal", Any, Decimal("1.10"), "python"),
    ("bare: a UUID", Any, UUID(int=7), "python"),
    ("bare: a long int", Any, -(2**64), "python"),
    ("bare: a complex", Any, complex(1, -2), "python"),
]


def lines():
    return {line["about"]: line for line in map(json.loads, PATH.read_text().splitlines())}


@pytest.mark.parametrize("about, annotation, value, writer", VALUES, ids=[about for about, *_ in VALUES])
def test_golden_values_are_read_and_written(about, annotation, value, writer):
    made = codec_of(annotation, "function", namespace=globals())
    line = lines()[about]
    assert line["writer"] == writer
    if writer != "rust":
        assert made.pack(value).hex() == line["bytes"]
    assert_same(made.unpack(bytes.fromhex(line["bytes"])), value)


def test_every_golden_value_is_known_here():
    assert list(lines()) == [about for about, *_ in VALUES]


BY_RUST = {
    "an integer of few bits in 128": "c410" + "00" * 15 + "05",
    "a float of 32 bits": "ca3fc00000",
    "a struct with fields that are unknown and missing": "82a4676f6e6581a16101a46e616d65a46c616d70",
}


def write():
    with PATH.open("w") as file:
        for about, annotation, value, writer in VALUES:
            made = codec_of(annotation, "function", namespace=globals())
            written = BY_RUST.get(about) or made.pack(value).hex()
            print(json.dumps({"about": about, "writer": writer, "bytes": written}, separators=(",", ":")), file=file)


if __name__ == "__main__" and os.environ.get("TIERCE_WRITE_GOLDEN"):
    write()
