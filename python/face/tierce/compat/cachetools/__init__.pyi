from ... import (
    Cache as Cache,
    CacheInfo as CacheInfo,
    FIFOCache as FIFOCache,
    LFUCache as LFUCache,
    LRUCache as LRUCache,
    RRCache as RRCache,
    TLRUCache as TLRUCache,
    TTLCache as TTLCache,
)
from . import keys as keys
from .method import cachedmethod as cachedmethod
from .wrapper import cached as cached

__all__ = [
    "Cache", "CacheInfo", "FIFOCache", "LFUCache", "LRUCache", "RRCache", "TLRUCache", "TTLCache", "cached",
    "cachedmethod", "keys",
]  # fmt: skip
