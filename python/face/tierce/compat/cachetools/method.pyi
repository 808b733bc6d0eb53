from collections.abc import Callable, Hashable, MutableMapping
from contextlib import AbstractContextManager
from threading import Condition
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, overload

from .wrapper import Counted, Lookup

__all__ = ["cachedmethod"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S")

class _PerInstance(Generic[_S, _P, _R]):
    @overload
    def __get__(self, instance: None, owner: type[Any] | None = ...) -> Callable[Concatenate[_S, _P], _R]: ...
    @overload
    def __get__(self, instance: _S, owner: type[Any] | None = ...) -> Lookup[_P, _R]: ...

class _CountedPerInstance(Generic[_S, _P, _R]):
    @overload
    def __get__(self, instance: None, owner: type[Any] | None = ...) -> Callable[Concatenate[_S, _P], _R]: ...
    @overload
    def __get__(self, instance: _S, owner: type[Any] | None = ...) -> Counted[_P, _R]: ...

@overload
def cachedmethod(
    cache: Callable[[Any], MutableMapping[Any, Any]],
    key: Callable[..., Hashable] = ...,
    lock: Callable[[Any], AbstractContextManager[Any]] | None = ...,
    condition: Callable[[Any], Condition] | None = ...,
    info: Literal[False] = ...,
) -> Callable[[Callable[Concatenate[_S, _P], _R]], _PerInstance[_S, _P, _R]]: ...
@overload
def cachedmethod(
    cache: Callable[[Any], MutableMapping[Any, Any]],
    key: Callable[..., Hashable] = ...,
    lock: Callable[[Any], AbstractContextManager[Any]] | None = ...,
    condition: Callable[[Any], Condition] | None = ...,
    *,
    info: Literal[True],
) -> Callable[[Callable[Concatenate[_S, _P], _R]], _CountedPerInstance[_S, _P, _R]]: ...
