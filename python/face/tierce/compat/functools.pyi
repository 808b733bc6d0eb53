import sys
from functools import (
    WRAPPER_ASSIGNMENTS as WRAPPER_ASSIGNMENTS,
    WRAPPER_UPDATES as WRAPPER_UPDATES,
    cached_property as cached_property,
    cmp_to_key as cmp_to_key,
    partial as partial,
    partialmethod as partialmethod,
    reduce as reduce,
    singledispatch as singledispatch,
    singledispatchmethod as singledispatchmethod,
    total_ordering as total_ordering,
    update_wrapper as update_wrapper,
    wraps as wraps,
)
from typing import Any

from .. import cache as cache, lru_cache as lru_cache

if sys.version_info >= (3, 14):
    from functools import Placeholder as Placeholder

__all__ = [
    "WRAPPER_ASSIGNMENTS", "WRAPPER_UPDATES", "cache", "cached_property", "cmp_to_key", "lru_cache", "partial", "partialmethod",
    "reduce", "singledispatch", "singledispatchmethod", "total_ordering", "update_wrapper", "wraps",
]  # fmt: skip
if sys.version_info >= (3, 14):
    __all__ += ["Placeholder"]

def __getattr__(name: str) -> Any: ...
