"""cachetools' classes and decorators. The classes are safe among threads without a lock of yours."""

from ...lru import CacheInfo
from ...mapping import Cache, FIFOCache, LFUCache, LRUCache, RRCache
from ...timed import TLRUCache, TTLCache
from . import keys
from .method import cachedmethod
from .wrapper import cached

__all__ = [
    "Cache", "CacheInfo", "FIFOCache", "LFUCache", "LRUCache", "RRCache", "TLRUCache", "TTLCache", "cached",
    "cachedmethod", "keys",
]  # fmt: skip
