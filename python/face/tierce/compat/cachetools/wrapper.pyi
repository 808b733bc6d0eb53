from collections.abc import Callable, Hashable, MutableMapping
from contextlib import AbstractContextManager
from threading import Condition
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, overload

from ... import CacheInfo

__all__ = ["Counted", "Lookup", "cached"]

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_R = TypeVar("_R")
_S = TypeVar("_S")

class Lookup(Generic[_P, _R]):
    __wrapped__: Callable[_P, _R]
    __name__: str
    __qualname__: str
    cache: MutableMapping[Any, Any]
    cache_key: Callable[..., Hashable]
    cache_lock: AbstractContextManager[Any] | None
    cache_condition: Condition | None
    def __init__(self, function: Callable[_P, _R]) -> None: ...
    def __call__(self, /, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
    def cache_clear(self) -> None: ...

class Counted(Lookup[_P, _R]):
    def cache_info(self) -> CacheInfo: ...

class _Cached(Lookup[_P, _R]):
    @overload
    def __get__(self, instance: None, owner: type[Any] | None = ...) -> _Cached[_P, _R]: ...
    @overload
    def __get__(
        self: _Cached[Concatenate[_S, _Q], _R], instance: _S, owner: type[Any] | None = ...
    ) -> Callable[_Q, _R]: ...

class _CachedCounted(Counted[_P, _R]):
    @overload
    def __get__(self, instance: None, owner: type[Any] | None = ...) -> _CachedCounted[_P, _R]: ...
    @overload
    def __get__(
        self: _CachedCounted[Concatenate[_S, _Q], _R], instance: _S, owner: type[Any] | None = ...
    ) -> Callable[_Q, _R]: ...

@overload
def cached(
    cache: MutableMapping[_S, Any],
    key: Callable[..., _S] = ...,
    lock: AbstractContextManager[Any] | None = ...,
    condition: Condition | None = ...,
    info: Literal[False] = ...,
) -> Callable[[Callable[_P, _R]], _Cached[_P, _R]]: ...
@overload
def cached(
    cache: MutableMapping[_S, Any],
    key: Callable[..., _S] = ...,
    lock: AbstractContextManager[Any] | None = ...,
    condition: Condition | None = ...,
    *,
    info: Literal[True],
) -> Callable[[Callable[_P, _R]], _CachedCounted[_P, _R]]: ...
