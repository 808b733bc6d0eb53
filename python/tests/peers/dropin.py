"""A plugin of pytest: the peers' names lead to tierce, and how each test ended is written to PEERS_RESULTS."""

import asyncio
import inspect
import json
import os
import sys
import types
from typing import TypeVar

import tierce.compat.async_lru
import tierce.compat.cachetools
import tierce.compat.cachetools.func

sys.modules["cachetools"] = tierce.compat.cachetools
sys.modules["cachetools.keys"] = tierce.compat.cachetools.keys
sys.modules["cachetools.func"] = tierce.compat.cachetools.func
# What async-lru's tests import for their annotations and beyond the public names.
sys.modules["async_lru"] = types.ModuleType("async_lru")
vars(sys.modules["async_lru"]).update(
    vars(tierce.compat.async_lru), _R=TypeVar("_R"), _LRUCacheWrapper=dict, _CacheItem=object, _CacheParameters=dict
)

ended = {}


def pytest_pyfunc_call(pyfuncitem):
    """A test that is async runs on a loop of its own, as under pytest-asyncio's mode "auto"."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        # Of a subtest too: it has the id of its test.
        worst = "failed" if "failed" in (report.outcome, ended.get(report.nodeid)) else report.outcome
        ended[report.nodeid] = worst


def pytest_sessionfinish():
    with open(os.environ["PEERS_RESULTS"], "w") as file:
        json.dump({name.partition("tests/")[2]: how for name, how in ended.items()}, file)
