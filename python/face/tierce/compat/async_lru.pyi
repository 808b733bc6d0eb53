from ..alru import alru_cache as alru_cache

__all__ = ["AlruCacheLoopResetWarning", "alru_cache"]

class AlruCacheLoopResetWarning(UserWarning): ...
