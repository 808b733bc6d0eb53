"""Values as bytes and back: the same types, or an error that says what and where."""

from dataclasses import dataclass

import pytest

from tierce import PackError, UnpackError
from tierce.values import codec_of


@dataclass
class Owner:
    id: int
    name: str


@dataclass
class Product:
    id: int
    owner: Owner | None
    tags: list[str]


def test_a_dataclass_comes_back_as_it_was():
    codec = codec_of(Product, "product")
    value = Product(1, Owner(2, "Ann"), ["new"])
    assert codec.unpack(codec.pack(value)) == value


def test_a_value_of_another_type_is_refused_with_its_place():
    codec = codec_of(Product, "product")
    with pytest.raises(PackError, match=r"product: result\.owner\.name is a int, and the annotation says str"):
        codec.pack(Product(1, Owner(2, 3), []))


def test_bytes_that_do_not_fit_are_one_error():
    with pytest.raises(UnpackError):
        codec_of(Product, "product").unpack(b"\x01")
