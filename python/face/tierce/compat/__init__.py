"""Drop-ins by the names of what they replace: change the import, and nothing else.

    from tierce.compat import functools           # import functools
    from tierce.compat.async_lru import alru_cache
    from tierce.compat.cachetools import TTLCache, cached
"""
