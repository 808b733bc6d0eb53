"""`lru_cache` and `cache`: what `functools` has, faster."""

from functools import _CacheInfo, update_wrapper

from ._tierce import _lru_cache_wrapper


class CacheInfo(_CacheInfo):
    """What a cached function has counted, and how full it is."""

    # Derived from that of functools, so that isinstance() says there what it said before.
    __slots__ = ()
    __module__ = "tierce"


def lru_cache(maxsize=128, typed=False):
    """Keep the results of a function, at most maxsize of them; the least recently used go first.

    A drop-in for functools.lru_cache: the same results, order, counts and
    attributes, at about half of the cost. Arguments must be hashable.

        @lru_cache(maxsize=256)
        def country_code(name: str) -> str: ...

        country_code.cache_info()    # CacheInfo(hits=5, misses=3, maxsize=256, currsize=3)
        country_code.cache_clear()
        country_code.__wrapped__     # the function itself

    maxsize: how many results are kept; None keeps all of them, 0 none.
    typed: keep f(3) and f(3.0) apart.

    Threads may call at once; each of them that misses runs the function, as
    with functools. Use memo for one run among all of them.
    """
    if isinstance(maxsize, int):
        maxsize = max(maxsize, 0)
    elif callable(maxsize) and isinstance(typed, bool):
        function, maxsize = maxsize, 128
        return _wrapped(function, maxsize, typed)
    elif maxsize is not None:
        raise TypeError("Expected first argument to be an integer, a callable, or None")

    def decorate(function):
        return _wrapped(function, maxsize, typed)

    return decorate


def cache(user_function, /):
    """Keep all results of a function, for as long as it lives: lru_cache(maxsize=None)."""
    return lru_cache(maxsize=None)(user_function)


def _wrapped(function, maxsize, typed):
    wrapper = _lru_cache_wrapper(function, maxsize, typed, CacheInfo)
    wrapper.cache_parameters = lambda: {"maxsize": maxsize, "typed": typed}
    return update_wrapper(wrapper, function)
