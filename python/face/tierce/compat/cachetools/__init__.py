"""cachetools' classes and decorators. The classes are safe among threads without a lock of yours."""

from functools import update_wrapper
from threading import Lock
from weakref import ref

from ...lru import CacheInfo
from ...mapping import Cache, FIFOCache, LFUCache, LRUCache, RRCache
from ...timed import TLRUCache, TTLCache
from . import keys

__all__ = [
    "Cache", "CacheInfo", "FIFOCache", "LFUCache", "LRUCache", "RRCache", "TLRUCache", "TTLCache", "cached",
    "cachedmethod", "keys",
]  # fmt: skip

_NOTHING = object()


class _Open:
    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


def cached(cache, key=keys.hashkey, lock=None, condition=None, info=False):
    """Keep the results of a function in a mapping of yours.

    lock: held while the mapping is looked at, and not while the function runs.
    condition: the same, and who asks for a key that is loading waits for it.
    info: give the function a cache_info().
    """
    return _cached(cache, key, lock, condition, info, set())


def _cached(cache, key, lock, condition, info, pending):
    guard = condition if condition is not None and lock is None else lock
    guard = _Open() if guard is None else guard

    def decorate(function):
        counts = [0, 0]

        def wrapper(*args, **kwargs):
            if cache is None:
                counts[1] += 1
                return function(*args, **kwargs)
            of = key(*args, **kwargs)
            with guard:
                if condition is not None:
                    while of in pending:
                        condition.wait()
                found = _got(cache, of)
                if found is not _NOTHING:
                    counts[0] += 1
                    return found
                counts[1] += 1
                if condition is not None:
                    pending.add(of)
            try:
                value = function(*args, **kwargs)
                with guard:
                    try:
                        if condition is None and not isinstance(guard, _Open):
                            # Another may have been quicker: all get the same object.
                            return cache.setdefault(of, value)
                        cache[of] = value
                    except ValueError:
                        pass  # too large to be kept
                return value
            finally:
                if condition is not None:
                    with guard:
                        pending.discard(of)
                        condition.notify_all()

        def cache_clear():
            with guard:
                if cache is not None:
                    cache.clear()
                counts[:] = [0, 0]

        def cache_info():
            with guard:
                size = 0 if cache is None else len(cache)
                return CacheInfo(*counts, getattr(cache, "maxsize", None if cache is not None else 0), size)

        # What is wrapped may have such attributes of its own: these are the outer one's.
        update_wrapper(wrapper, function)
        wrapper.cache = cache
        wrapper.cache_key = key
        wrapper.cache_lock = lock if lock is not None else condition
        wrapper.cache_condition = condition
        wrapper.cache_clear = cache_clear
        if info:
            wrapper.cache_info = cache_info
        return wrapper

    return decorate


def _got(cache, key):
    try:
        return cache[key]
    except KeyError:
        return _NOTHING


def _forget(pending_of, address, of):
    if pending_of.get(address, (None,))[0] is of:
        del pending_of[address]


def cachedmethod(cache, key=keys.methodkey, lock=None, condition=None):
    """Keep the results of a method in the mapping that `cache(self)` gives, or not at all where that is None.

    Of the decorator's later forms `info` and class methods are not here; memo(per_instance=True) needs no mapping.
    """

    def decorate(method):
        # Who waits for a key of an instance has to see what loads it: by the instance, which may not be hashable.
        pending_of, gate = {}, Lock()

        def pending_at(self):
            address = id(self)
            found = pending_of.get(address)
            if found is None or found[0]() is not self:
                found = (ref(self, lambda of: _forget(pending_of, address, of)), set())
                pending_of[address] = found
            return found[1]

        def wrapper(self, *args, **kwargs):
            mapping = cache(self)
            if mapping is None:
                return method(self, *args, **kwargs)
            locked = lock(self) if lock is not None else None
            waited = condition(self) if condition is not None else None
            pending = set()
            if waited is not None:
                with gate:
                    pending = pending_at(self)
            load = _cached(mapping, lambda *_, **__: key(self, *args, **kwargs), locked, waited, False, pending)(method)
            return load(self, *args, **kwargs)

        return update_wrapper(wrapper, method)

    return decorate
