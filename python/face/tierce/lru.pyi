from . import CacheInfo as CacheInfo, cache as cache, lru_cache as lru_cache
