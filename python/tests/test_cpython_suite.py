"""CPython's own tests of lru_cache and cache, unchanged, against ours."""

import functools
import types
import unittest
from test import test_functools

import tierce
import tierce.lru


def _shim() -> types.ModuleType:
    """What those tests take from `functools`, with our functions in it."""
    module = types.ModuleType("functools")
    module.__dict__.update(vars(functools))
    module.lru_cache = tierce.lru_cache
    module.cache = tierce.cache
    module._CacheInfo = tierce.CacheInfo
    module._lru_cache_wrapper = tierce.lru._lru_cache_wrapper
    return module


SHIM = _shim()


# Pickled by their names, so that they are where those say.
@tierce.lru_cache()
def cached_func(x, y):
    return 3 * x + y


class TestLRU(test_functools.TestLRU, unittest.TestCase):
    module = SHIM
    cached_func = (cached_func,)

    @tierce.lru_cache()
    def cached_meth(self, x, y):
        return 3 * x + y

    @staticmethod
    @tierce.lru_cache()
    def cached_staticmeth(x, y):
        return 3 * x + y


class TestCache(test_functools.TestCache, unittest.TestCase):
    module = SHIM


def test_all_of_them_ran():
    """`test_functools` is not on every machine, and a suite that is empty passes."""
    names = [name for name in dir(TestLRU) if name.startswith("test_")]
    assert len(names) >= 27
    assert len([name for name in dir(TestCache) if name.startswith("test_")]) >= 1
