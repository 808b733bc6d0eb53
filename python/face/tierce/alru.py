"""`alru_cache`: what the package async-lru has."""

import asyncio

from . import flight_async
from ._tierce import Memo
from .lru import CacheInfo
from .memo import _NO_DEFAULT, BoundMemo, _dress, _is_async, _mark_async, _Settings, flight

__all__ = ["alru_cache"]


def alru_cache(maxsize=128, typed=False, *, ttl=None, jitter=None):
    """Keep the results of an async function, at most maxsize of them; the least recently used go first.

    A drop-in for async_lru.alru_cache: callers who miss a result at once share
    one load, failures are not kept, a caller who is cancelled leaves alone.

        @alru_cache(maxsize=128, ttl=300)
        async def user(user_id: int) -> User: ...

        user.cache_info()
        user.cache_contains(42)
        user.cache_invalidate(42)
        user.cache_clear()
        await user.cache_close()

    ttl: seconds, looked at when a result is asked for: no timer has to run.
    jitter: seconds that chance adds to it at most.

    Other than there, results outlive the event loop that loaded them. memo has
    more to say: durations, stale values, refresh, results per instance.
    """
    if jitter is not None and ttl is None:
        raise ValueError("jitter is added to ttl, and ttl is missing")
    if jitter is not None and jitter < 0:
        raise ValueError("jitter must be non-negative")
    if maxsize is None or isinstance(maxsize, int):
        return lambda function: _made(function, maxsize, typed, ttl, jitter)
    if callable(maxsize):
        return _made(maxsize, 128, typed, ttl, jitter)
    raise NotImplementedError(f"{maxsize!r} decorating is not supported")


def _made(function, maxsize, typed, ttl, jitter):
    if not _is_async(_unwrapped(function)):
        raise RuntimeError(f"Coroutine function is required, got {function!r}")
    most = None if maxsize is None else max(maxsize, 0)
    lasts, share = ttl, 0.0
    if ttl is not None and jitter:
        # Chance adds there, and takes off here: the longest is the ttl, and the share that may go is the jitter.
        lasts = ttl + jitter
        share = jitter / lasts
    settings = _Settings(most, lasts, None, share, None, None, False, typed, False, False)
    made = Memo(
        function, flight_async.load, None, None, _NO_DEFAULT, True, False, 0, typed,
        settings.maxsize, None, settings.ttl_ms, settings.stale_ms, settings.jitter,
    )  # fmt: skip
    _dress(made, function)
    made._keep = None
    made._settings = settings
    made._is_async = True
    _mark_async(made)
    flight.memos.add(made)
    _Verbs(made, maxsize, typed).lend()
    return made


def _unwrapped(function):
    while hasattr(function, "func"):  # a partial
        function = function.func
    return function


class _Verbs:
    """What async-lru says of a cached function, in the place of what memo says."""

    def __init__(self, made, maxsize, typed):
        self.made = made
        self.maxsize = maxsize
        self.typed = typed
        self.counts = None

    def lend(self):
        for name in ("contains", "invalidate", "clear", "close", "info", "parameters"):
            setattr(self.made, f"cache_{name}", getattr(self, name))
        self.made._bind = self.bind

    def contains(self, /, *args, **kwargs):
        """Whether the result of such a call is here, or is being loaded."""
        key = self.made.key(*args, **kwargs)
        return self.made._peek(key) is not None or self.made._flies(key)

    def invalidate(self, /, *args, **kwargs):
        """End the result of such a call; whether there was one, or a load of it."""
        key = self.made.key(*args, **kwargs)
        return self.made._flies(key) | self.made._drop(key)

    def clear(self):
        """Forget all results and counts."""
        self.counts = None
        self.made._clear()

    async def close(self, *, wait=False):
        """Refuse calls from now on; loads that run are cancelled, or waited for with wait=True."""
        made = self.made
        tasks = self._tasks()
        # What is in memory would be served without asking whether we are closed, and what lands from now on as well.
        self.counts = self.info()
        made._closed = f"alru_cache is closed for {made!r}"
        made._clear()
        if not wait:
            for task in tasks:
                task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

    def info(self):
        """Hits, misses, maxsize and currsize; who joins a load has hit."""
        if self.made._closed and self.counts is not None:
            return self.counts
        hits, misses, _, joined, _, size, _, flights = self.made._counts()
        return CacheInfo(hits + joined, misses - joined, self.maxsize, size + flights)

    def parameters(self):
        """maxsize, typed, how many loads run, and whether it is closed."""
        made = self.made
        return {"maxsize": self.maxsize, "typed": self.typed, "tasks": len(self._tasks()), "closed": bool(made._closed)}

    def _tasks(self):
        running = [one.task for one in list(flight_async._running) if one.memo is self.made]
        return [task for task in running if task is not None and not task.done()]

    def bind(self, instance):
        return _Bound(self.made, instance)


class _Bound(BoundMemo):
    """A method made by alru_cache, of one instance."""

    __slots__ = ()

    def cache_contains(self, /, *args, **kwargs):
        return self.__func__.cache_contains(self.__self__, *args, **kwargs)

    def cache_invalidate(self, /, *args, **kwargs):
        return self.__func__.cache_invalidate(self.__self__, *args, **kwargs)

    def cache_info(self):
        return self.__func__.cache_info()

    def cache_clear(self):
        self.__func__.cache_clear()
