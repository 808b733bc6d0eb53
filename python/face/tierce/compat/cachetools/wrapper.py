"""`cached`: a function whose results are kept in a mapping of the caller's."""

from functools import update_wrapper
from types import MethodType

from ...lru import CacheInfo
from ...mapping import Cache
from . import keys

__all__ = ["Counted", "Lookup", "cached"]

_NOTHING = object()


class _Open:
    """The lock of those who have none."""

    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


_OPEN = _Open()


class _Load:
    """One load of a key, which others wait for as long as it runs."""

    __slots__ = ("runs",)

    def __init__(self):
        self.runs = False


class Lookup:
    """A call that is looked up in a mapping first. Whoever is derived from it has cache, cache_key, cache_lock and cache_condition."""

    def __init__(self, function):
        self._function = function
        self._hits = self._misses = 0
        # What is being loaded, and the load of each.
        self._pending = {}

    def __call__(self, /, *args, **kwargs):
        cache, key, lock = self.cache, self.cache_key(*args, **kwargs), self.cache_lock
        condition = self.cache_condition
        if condition is not None:
            return self._alone(cache, key, lock, condition, args, kwargs)
        guard = _OPEN if lock is None else lock
        with guard:
            found = self._look(cache, key)
        if found is not _NOTHING:
            return found
        value = self._function(*args, **kwargs)
        with guard:
            try:
                if lock is not None:
                    # Another may have been quicker: all get the same object.
                    return cache.setdefault(key, value)
                cache[key] = value
            except ValueError:
                pass  # too large to be kept
        return value

    def _alone(self, cache, key, lock, condition, args, kwargs):
        """The same where of all who ask for a key at once one loads it."""
        load = _Load()
        try:
            with lock:
                while (other := self._pending.get(key)) is not None and other.runs:
                    condition.wait()
                found = self._look(cache, key)
                if found is not _NOTHING:
                    return found
                load.runs = True
                self._pending[key] = load
            value = self._function(*args, **kwargs)
            with lock:
                try:
                    cache[key] = value
                except ValueError:
                    pass  # too large to be kept
            return value
        finally:
            if load.runs:
                # Before any call, where a signal's handler might raise: from here on it is in nobody's way.
                load.runs = False
                with lock:
                    if self._pending.get(key) is load:
                        self._pending.pop(key, None)
                    condition.notify_all()

    def _look(self, cache, key):
        try:
            found = cache[key]
        except KeyError:
            self._misses += 1
            return _NOTHING
        self._hits += 1
        return found

    def cache_clear(self):
        """Take everything out of the mapping, and forget the counts."""
        with self.cache_lock or _OPEN:
            self.cache.clear()
            self._hits = self._misses = 0


class Counted(Lookup):
    """With a cache_info()."""

    def cache_info(self):
        """Hits, misses, maxsize and currsize."""
        with self.cache_lock or _OPEN:
            cache = self.cache
            size = (cache.maxsize, cache.currsize) if isinstance(cache, Cache) else (None, len(cache))
            return CacheInfo(self._hits, self._misses, *size)


class _Function:
    """A function made by cached."""

    def __init__(self, function, cache, key, lock, condition):
        # Before the rest: what is wrapped may have such attributes of its own, and these are the outer one's.
        update_wrapper(self, function)
        super().__init__(function)
        self.cache = cache
        self.cache_key = key
        self.cache_lock = condition if lock is None else lock
        self.cache_condition = condition

    def __get__(self, instance, owner=None):
        return self if instance is None else MethodType(self, instance)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return self.__qualname__

    def __repr__(self):
        return f"<cached {self.__wrapped__!r}>"


class _Plain(_Function, Lookup):
    pass


class _Counted(_Function, Counted):
    pass


def cached(cache, key=keys.hashkey, lock=None, condition=None, info=False):
    """Keep the results of a function in a mapping of yours.

    lock: held while the mapping is looked at, and not while the function runs.
    condition: the same, and who asks for a key that is loading waits for it.
    info: give the function a cache_info().
    """
    if cache is None:
        raise TypeError("cache must be a mapping, and not None")
    kind = _Counted if info else _Plain
    return lambda function: kind(function, cache, key, lock, condition)
