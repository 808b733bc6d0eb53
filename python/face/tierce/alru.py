"""`alru_cache`: what the package async-lru has."""

import asyncio
import warnings
from functools import partial, partialmethod, update_wrapper

from . import flight_async
from ._tierce import Memo
from .duration import milliseconds
from .lru import CacheInfo
from .memo import _NO_DEFAULT, BoundMemo, _dress, _is_async, _mark_async, _Settings, flight

__all__ = ["alru_cache"]


def alru_cache(maxsize=128, typed=False, *, ttl=None, jitter=None, key=None):
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

    ttl: seconds, looked at when a result is asked for: no timer has to run. With 0
        or less a load is shared while it runs, and its result is not kept.
    jitter: seconds that chance adds to it at most.
    key: makes of a call's arguments what tells it apart. Each call then costs that
        of a coroutine beside what the key costs.

    Other than there, results outlive the event loop that loaded them. memo has
    more to say: durations, stale values, refresh, results per instance.
    """
    if jitter is not None and ttl is None:
        raise ValueError("jitter requires ttl to be set")
    if jitter is not None and jitter < 0:
        raise ValueError("jitter must be non-negative")
    if key is not None and not callable(key):
        raise TypeError(f"key must be callable, and {key!r} is not")
    if key is not None and typed:
        raise ValueError("typed says nothing where a key is given: let the key tell types apart")
    if maxsize is None or isinstance(maxsize, int):
        return lambda function: _made(function, maxsize, typed, _seconds(ttl), jitter, key)
    if callable(maxsize) or isinstance(maxsize, partialmethod):
        return _made(maxsize, 128, False, None, None, None)
    raise NotImplementedError(f"{maxsize!r} decorating is not supported")


def _seconds(ttl):
    """A ttl as a number; one that is none yet may be written as memo takes it."""
    return ttl if ttl is None or isinstance(ttl, (int, float)) else milliseconds(ttl, "ttl") / 1000


def _made(function, maxsize, typed, ttl, jitter, key):
    if not _is_async(_unwrapped(function)):
        raise RuntimeError(f"Coroutine function is required, got {function!r}")
    if isinstance(function, partialmethod):
        function = function._make_unbound_method()
    # A bool is a number there.
    most = None if maxsize is None else max(int(maxsize), 0)
    lasts, share = ttl, 0.0
    if ttl is not None and jitter:
        # Chance adds there, and takes off here: the longest is the ttl, and the share that may go is the jitter.
        lasts = ttl + jitter
        share = min(1.0, jitter / lasts) if lasts > 0 else 0.0
    if lasts is not None and lasts <= 0:
        # Over before anybody asks: who asks while it is loaded shares the load, and nothing is kept.
        most, lasts = 0, None
    settings = _Settings(most, lasts, None, share, None, None, False, typed, False, False)
    made = Memo(
        function, flight_async.load, None, None, _NO_DEFAULT, True, False, 0, typed,
        settings.maxsize, None, settings.ttl_ms, settings.stale_ms, settings.jitter,
    )  # fmt: skip
    _dress(made, function)
    made._keep = None
    made._settings = settings
    made._is_async = True
    flight.memos.add(made)
    public = made if key is None else _Keyed(made, key)
    _mark_async(public)
    _Verbs(made, maxsize, typed, key).lend(public)
    return public


def _unwrapped(function):
    while hasattr(function, "func"):  # a partial
        function = function.func
    return function


class _Verbs:
    """What async-lru says of a cached function, in the place of what memo says."""

    def __init__(self, made, maxsize, typed, key):
        self.made = made
        self.maxsize = maxsize
        self.typed = typed
        self.of = key
        self.counts = None

    def lend(self, public):
        for name in ("contains", "invalidate", "clear", "close", "info", "parameters"):
            setattr(public, f"cache_{name}", getattr(self, name))
        public._bind = partial(_Bound, public)

    def key(self, /, *args, **kwargs):
        return self.made.key(*args, **kwargs) if self.of is None else self.made.key(self.of(*args, **kwargs))

    def contains(self, /, *args, **kwargs):
        """Whether the result of such a call is here, or is being loaded."""
        key = self.key(*args, **kwargs)
        return self.made._peek(key) is not None or self.made._flies(key)

    def invalidate(self, /, *args, **kwargs):
        """End the result of such a call; whether there was one, or a load of it."""
        key = self.key(*args, **kwargs)
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
        before = self.info()
        self.counts = before._replace(currsize=before.currsize - len(tasks))
        made._closed = f"alru_cache is closed for {made!r}"
        made._clear()
        if not wait:
            for task in tasks:
                task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        # As there: what was loaded until the end is counted, though nobody may ask for it any more.
        loaded = sum(not isinstance(one, BaseException) for one in ended)
        self.counts = self.counts._replace(currsize=self.counts.currsize + loaded)

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


class _Keyed:
    """A function made by alru_cache with a key of its caller's."""

    def __init__(self, made, key):
        update_wrapper(self, made)
        self.__wrapped__ = made.__wrapped__
        self._made = made
        self._key = key

    def __call__(self, /, *args, **kwargs):
        made = self._made
        return flight_async.load(made, made.key(self._key(*args, **kwargs)), args, kwargs)

    def __get__(self, instance, owner=None):
        return self if instance is None else self._bind(instance)

    def __repr__(self):
        return repr(self._made)


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

    async def cache_close(self, *, wait=False, cancel=False, return_exceptions=True):
        if cancel or return_exceptions is not True:
            text = "cancel and return_exceptions say nothing any more; wait=True lets loads finish, wait=False cancels them"
            warnings.warn(text, DeprecationWarning, stacklevel=2)
        await self.__func__.cache_close(wait=wait)
