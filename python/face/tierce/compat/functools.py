"""All of functools, with tierce's lru_cache and cache."""

import functools as _functools
from functools import *  # noqa: F403
from functools import __all__ as _all

from ..lru import cache, lru_cache

__all__ = list(_all)


def __getattr__(name):
    return getattr(_functools, name)
