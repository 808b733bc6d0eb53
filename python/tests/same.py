"""Whether two values are the same to whoever looks closely: types, parts, and what == does not see."""

import dataclasses
import math
from datetime import datetime, time
from decimal import Decimal


def assert_same(one, other):
    assert type(one) is type(other), (one, other)
    if isinstance(one, float) and math.isnan(one):
        assert math.isnan(other)
    elif isinstance(one, float):
        assert (one, math.copysign(1, one)) == (other, math.copysign(1, other))
    elif isinstance(one, Decimal):
        assert str(one) == str(other)
    elif isinstance(one, (datetime, time)):
        assert (repr(one), one.fold) == (repr(other), other.fold)
    elif isinstance(one, dict):
        assert_same(list(one.items()), list(other.items()))
    elif isinstance(one, (list, tuple)) or type(one).__name__ == "deque":
        assert len(one) == len(other)
        for left, right in zip(one, other):
            assert_same(left, right)
    elif isinstance(one, (set, frozenset)):
        assert one == other
        assert_same(sorted(one, key=repr), sorted(other, key=repr))
    elif dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    else:
        assert one == other or one is other
