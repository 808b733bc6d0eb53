"""Caches that are right, typed and fast.

lru_cache, cache   what functools has, at about half of the cost of a hit
memo               for def and async def: ttl, stale values, one load for all
                   who ask, invalidation
cached             for both: the engine of tierce's Rust crate: tags, and one
                   load for all who ask, in all processes that share a store
hub, configure     caches by name, invalidation by tag; the store
alru_cache         what async-lru has
TTLCache, ...      bounded mappings, as cachetools has them, safe among threads
tierce.compat      the same by the names of what they replace
"""

from .errors import CycleError, LoadCancelledError, PackError, StoreError, UnpackError
from .lru import CacheInfo, cache, lru_cache
from .memo import BoundMemo, Memo, memo

_LATER = {
    "alru_cache": "alru",
    **dict.fromkeys(["Cache", "FIFOCache", "LFUCache", "LRUCache", "RRCache"], "mapping"),
    **dict.fromkeys(["TLRUCache", "TTLCache"], "timed"),
    **dict.fromkeys(["BoundCached", "Cached", "Stats", "cached"], "shared"),
    **dict.fromkeys(["Hub", "Server", "configure", "hub"], "hubs"),
    **dict.fromkeys(["ANY", "KeyedCache", "Like"], "keyed"),
    "SignedPickle": "signed",
}

__all__ = [
    "ANY", "BoundCached", "BoundMemo", "Cache", "CacheInfo", "Cached", "CycleError", "FIFOCache", "Hub", "KeyedCache",
    "LFUCache", "LRUCache", "Like", "LoadCancelledError", "Memo", "PackError", "RRCache", "Server", "SignedPickle", "Stats",
    "StoreError", "TLRUCache", "TTLCache", "UnpackError", "alru_cache", "cache", "cached", "configure", "hub", "lru_cache", "memo",
]  # fmt: skip
__version__ = "0.1.0"


def __getattr__(name):
    """What brings more modules along is imported when it is asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__():
    return sorted({*globals(), *__all__})
