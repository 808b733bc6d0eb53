"""cachetools.func: `lru_cache` and its like over the mappings; of all who miss a key at once one runs the function."""

import math
import random
import time
from threading import Condition

from ...mapping import FIFOCache, LFUCache, LRUCache, RRCache
from ...timed import TTLCache
from . import keys
from .wrapper import cached

__all__ = ["fifo_cache", "lfu_cache", "lru_cache", "rr_cache", "ttl_cache"]


class _EndlessTTLCache(TTLCache):
    def __init__(self, ttl, timer):
        super().__init__(math.inf, ttl, timer)

    @property
    def maxsize(self):
        """None, for no bound."""
        return None


def _made(maxsize, typed, mapping, unbounded=dict):
    function = None
    if callable(maxsize):
        function, maxsize = maxsize, 128

    def decorate(function):
        cache = unbounded() if maxsize is None else mapping(maxsize)
        key = keys.typedkey if typed else keys.hashkey
        made = cached(cache, key, condition=Condition(), info=True)(function)
        made.cache_parameters = lambda: {"maxsize": maxsize, "typed": typed}
        return made

    return decorate if function is None else decorate(function)


def fifo_cache(maxsize=128, typed=False):
    """Keep the results of a function; what was kept first goes first."""
    return _made(maxsize, typed, FIFOCache)


def lfu_cache(maxsize=128, typed=False):
    """Keep the results of a function; the least often used go first."""
    return _made(maxsize, typed, LFUCache)


def lru_cache(maxsize=128, typed=False):
    """Keep the results of a function; the least recently used go first. tierce.lru_cache is the quicker one."""
    return _made(maxsize, typed, LRUCache)


def rr_cache(maxsize=128, choice=random.choice, typed=False):
    """Keep the results of a function; what choice picks goes first."""
    return _made(maxsize, typed, lambda most: RRCache(most, choice))


def ttl_cache(maxsize=128, ttl=600, timer=time.monotonic, typed=False):
    """Keep the results of a function for ttl seconds."""
    return _made(maxsize, typed, lambda most: TTLCache(most, ttl, timer), lambda: _EndlessTTLCache(ttl, timer))
