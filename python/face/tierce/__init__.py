"""Caches that are right, typed and fast.

lru_cache, cache   what functools has, at about half of the cost of a hit
memo               for def and async def: ttl, stale values, one load for all
                   who ask, invalidation
"""

from .errors import CycleError, LoadCancelledError
from .lru import CacheInfo, cache, lru_cache
from .memo import BoundMemo, Memo, memo

__all__ = ["BoundMemo", "CacheInfo", "CycleError", "LoadCancelledError", "Memo", "cache", "lru_cache", "memo"]
__version__ = "0.1.0"
