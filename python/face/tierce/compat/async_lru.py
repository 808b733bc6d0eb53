"""async-lru's alru_cache. Results outlive their event loop, so that its warning is never given."""

from ..alru import alru_cache

__all__ = ["AlruCacheLoopResetWarning", "alru_cache"]


class AlruCacheLoopResetWarning(UserWarning):
    """For filters that name it; tierce has nothing to reset when the event loop changes."""
