from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from typing import Any, NamedTuple, ParamSpec, TypeVar, overload

from .keyed import KeyedCache
from .shared import Cached, _Decorator, _PlainCached
from .signed import SignedPickle

__all__ = ["Hub", "Server", "configure", "hub"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Duration = str | float | timedelta

class Server(NamedTuple):
    address: str
    facts: dict[str, str]

class Hub:
    def __init__(
        self,
        url: str | None = ...,
        /,
        *,
        namespace: str | None = ...,
        store_budget: _Duration | None = ...,
        coherence: _Duration | None = ...,
        memory_age: _Duration | None = ...,
        serve_for: _Duration | None = ...,
    ) -> None: ...
    @property
    def blocking(self) -> _BlockingHub: ...
    def invalidate_tag(self, tag: str, /) -> Coroutine[Any, Any, None]: ...
    def purge(self) -> Coroutine[Any, Any, None]: ...
    def close(self, within: _Duration = ...) -> Coroutine[Any, Any, int]: ...
    async def info(self) -> list[Server]: ...
    def command(self, *parts: str | bytes | float) -> Coroutine[Any, Any, Any]: ...
    def health(self) -> str | None: ...
    @overload
    def cached(self, function: Callable[_P, Coroutine[Any, Any, _T]], /) -> Cached[_P, _T]: ...
    @overload
    def cached(self, function: Callable[_P, _T], /) -> _PlainCached[_P, _T]: ...
    @overload
    def cached(
        self,
        function: None = ...,
        /,
        *,
        ttl: _Duration | None = ...,
        stale: _Duration | None = ...,
        tags: Iterable[str] = ...,
        key: str | None = ...,
        maxsize: int | None = ...,
        version: int = ...,
        codec: SignedPickle | None = ...,
    ) -> _Decorator: ...
    @overload
    def cache(
        self,
        name: str,
        value: type[_T],
        /,
        *,
        ttl: _Duration | None = ...,
        stale: _Duration | None = ...,
        tags: Iterable[str] = ...,
        maxsize: int | None = ...,
        version: int = ...,
        codec: SignedPickle | None = ...,
    ) -> KeyedCache[_T]: ...
    @overload
    def cache(
        self,
        name: str,
        value: Any = ...,
        /,
        *,
        ttl: _Duration | None = ...,
        stale: _Duration | None = ...,
        tags: Iterable[str] = ...,
        maxsize: int | None = ...,
        version: int = ...,
        codec: SignedPickle | None = ...,
    ) -> KeyedCache[Any]: ...

class _BlockingHub:
    def invalidate_tag(self, tag: str, /) -> None: ...
    def purge(self) -> None: ...
    def close(self, within: _Duration = ...) -> int: ...
    def info(self) -> list[Server]: ...
    def command(self, *parts: str | bytes | float) -> Any: ...
    def health(self) -> str | None: ...

def hub() -> Hub: ...
def configure(
    url: str | None,
    /,
    *,
    namespace: str | None = ...,
    store_budget: _Duration | None = ...,
    coherence: _Duration | None = ...,
    memory_age: _Duration | None = ...,
    serve_for: _Duration | None = ...,
) -> Hub: ...
