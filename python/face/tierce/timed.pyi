from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from .mapping import LRUCache

__all__ = ["TLRUCache", "TTLCache"]

_K = TypeVar("_K")
_V = TypeVar("_V")

class TTLCache(LRUCache[_K, _V]):
    def __init__(
        self,
        maxsize: float,
        ttl: float | str | timedelta,
        timer: Callable[[], Any] = ...,
        getsizeof: Callable[[_V], float] | None = ...,
        *,
        listener: Callable[[_K, _V, str], object] | None = ...,
    ) -> None: ...
    @property
    def ttl(self) -> Any: ...
    @property
    def timer(self) -> Any: ...
    def expire(self, time: Any = ...) -> list[tuple[_K, _V]]: ...

class TLRUCache(LRUCache[_K, _V]):
    def __init__(
        self,
        maxsize: float,
        ttu: Callable[[_K, _V, Any], Any],
        timer: Callable[[], Any] = ...,
        getsizeof: Callable[[_V], float] | None = ...,
        *,
        listener: Callable[[_K, _V, str], object] | None = ...,
    ) -> None: ...
    @property
    def ttu(self) -> Callable[[_K, _V, Any], Any]: ...
    @property
    def timer(self) -> Any: ...
    def expire(self, time: Any = ...) -> list[tuple[_K, _V]]: ...
