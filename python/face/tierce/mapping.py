"""Bounded mappings: what users of cachetools expect, safe among threads, with a listener for what leaves.

Here they are found, by their users and by pickles: how they work stands in `bounded.py`, and what makes room beside it.
"""

from .bounded import Cache
from .lfu import LFUCache
from .ordered import FIFOCache, LRUCache
from .rr import RRCache

__all__ = ["Cache", "FIFOCache", "LFUCache", "LRUCache", "RRCache"]
