"""The libraries that are measured, as decorators of one form."""

import functools
import importlib

import tierce

MISSING = {}


def _take(name):
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever keeps a contender from being imported keeps it out
        MISSING[name] = f"{type(error).__name__}: {error}"
        return None


cachetools = _take("cachetools")
cachebox = _take("cachebox")
theine = _take("theine")
async_lru = _take("async_lru")
aiocache = _take("aiocache")
cashews = _take("cashews")
cachekit = _take("cachekit")
msgspec = _take("msgspec")
pydantic = _take("pydantic")
redis = _take("redis.asyncio") and _take("redis")
aiomcache = _take("aiomcache")
uvloop = _take("uvloop")


def lru(size):
    """Decorators that keep `size` results of a plain function."""
    found = {"ours": tierce.lru_cache(maxsize=size), "functools": functools.lru_cache(maxsize=size)}
    if cachetools:
        found["cachetools"] = lambda f: cachetools.cached(cachetools.LRUCache(maxsize=size))(f)
    if cachebox:
        found["cachebox"] = lambda f: cachebox.cached(cachebox.LRUCache(size))(f)
    if theine:
        found["theine"] = lambda f: theine.Memoize(size, None)(f)
    if cachekit:
        found["cachekit"] = lambda f: cachekit.cache(f, backend=None) if _takes_backend() else cachekit.cache(f)
    return found


def _takes_backend():
    import inspect

    try:
        return "backend" in inspect.signature(cachekit.cache).parameters
    except (TypeError, ValueError):
        return False


def ttl(size):
    """Decorators that keep `size` results of a plain function for a while."""
    from datetime import timedelta

    found = {
        "ours": tierce.memo(maxsize=size, ttl="5m"),
        "functools": functools.lru_cache(maxsize=size),
    }
    if cachetools:
        found["cachetools"] = lambda f: cachetools.cached(cachetools.TTLCache(maxsize=size, ttl=300))(f)
    if cachebox:
        found["cachebox"] = lambda f: cachebox.cached(cachebox.TTLCache(size, 300))(f)
    if theine:
        found["theine"] = lambda f: theine.Memoize(size, timedelta(seconds=300))(f)
    return found


def shared(size):
    """Decorators that keep results of an async function with two tags, where they have any."""
    found = {
        "ours": tierce.Hub().cached(maxsize=size, tags=["all", "of:{x}"]),
        "ours memo": tierce.memo(maxsize=size, ttl="5m"),
    }
    if aiocache:
        found["aiocache"] = aiocache.cached(ttl=300)
    if cashews:
        keeper = cashews.Cache()
        keeper.setup("mem://", size=size)
        found["cashews"] = keeper(ttl="5m", key="{x}", tags=["all", "of:{x}"])
    return found


def asynchronous(size):
    """Decorators that keep `size` results of an async function."""
    found = {"ours": tierce.memo(maxsize=size), "ours alru_cache": None}
    if hasattr(tierce, "alru_cache"):
        found["ours alru_cache"] = tierce.alru_cache(maxsize=size)
    else:
        del found["ours alru_cache"]
    if async_lru:
        found["async_lru"] = async_lru.alru_cache(maxsize=size)
    if cachebox:
        found["cachebox"] = lambda f: cachebox.cached(cachebox.LRUCache(size))(f)
    if theine:
        found["theine"] = lambda f: theine.Memoize(size, None)(f)
    if aiocache:
        found["aiocache"] = aiocache.cached()
    if cashews:
        keeper = cashews.Cache()
        keeper.setup("mem://", size=size)
        found["cashews"] = keeper(ttl="5m", key="{x}")
    return found
