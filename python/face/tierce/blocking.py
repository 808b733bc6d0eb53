"""Verbs for code that runs on no loop: each waits for its answer on its own thread."""

from . import _tierce
from ._tierce import _blocking

__all__ = ["Blocking"]

_MISSING = object()


class Blocking:
    """What a hub, a cache or a cached function can do, for plain code: what is awaited elsewhere is waited for here.

        hub().blocking.invalidate_tag("category:3")
        product.blocking.invalidate(42)

    The load of a coroutine function needs a loop: product.blocking(42) is an error
    unless the value is here.
    """

    __slots__ = ("_of",)

    def __init__(self, of):
        self._of = of

    def __call__(self, /, *args, **kwargs):
        of = self._of
        function, instance = getattr(of, "__func__", of), getattr(of, "__self__", _MISSING)
        if isinstance(function, _tierce.Cached) and function._is_async:
            args = args if instance is _MISSING else (instance, *args)
            found = _blocking(function._get, (_MISSING, *args), kwargs)
            if found is _MISSING:
                raise TypeError(f"{function._place}: it is not here, and its load needs an event loop: await it on one")
            return found
        return _blocking(of, args, kwargs)

    def __getattr__(self, name):
        method = getattr(self._of, name)
        if not callable(method):
            return method

        def blocking(*args, **kwargs):
            return _blocking(method, args, kwargs)

        return blocking

    def set_through(self, /, *args, **kwargs):
        """As that of what it is of, with a plain function that writes."""
        from .keyed import KeyedCache, set_through_plainly

        if isinstance(self._of, KeyedCache):
            key, write, *args = args
            args = (write, key, *args)
        return set_through_plainly(self, *args, **kwargs)

    def info(self):
        """As Hub.info."""
        from .hubs import Server

        return [Server(*one) for one in _blocking(self._of._hub._servers, (True,), {})]

    def __repr__(self):
        return f"<blocking {self._of!r}>"
