from collections.abc import Callable, Coroutine, Hashable
from functools import partialmethod
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from . import CacheInfo

__all__ = ["alru_cache"]

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_T = TypeVar("_T")
_S = TypeVar("_S")

class _Alru(Generic[_P, _T]):
    __wrapped__: Callable[_P, Coroutine[Any, Any, _T]]
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> Coroutine[Any, Any, _T]: ...
    @overload
    def __get__(self, instance: None, owner: type[Any] | None = ...) -> _Alru[_P, _T]: ...
    @overload
    def __get__(self: _Alru[Concatenate[_S, _Q], _T], instance: _S, owner: type[Any] | None = ...) -> _Alru[_Q, _T]: ...
    def cache_contains(self, *args: _P.args, **kwargs: _P.kwargs) -> bool: ...
    def cache_invalidate(self, *args: _P.args, **kwargs: _P.kwargs) -> bool: ...
    def cache_clear(self) -> None: ...
    async def cache_close(self, *, wait: bool = ...) -> None: ...
    def cache_info(self) -> CacheInfo: ...
    def cache_parameters(self) -> dict[str, Any]: ...

@overload
def alru_cache(
    maxsize: int | None = ...,
    typed: bool = ...,
    *,
    ttl: float | None = ...,
    jitter: float | None = ...,
    key: Callable[..., Hashable] | None = ...,
) -> Callable[[Callable[_P, Coroutine[Any, Any, _T]]], _Alru[_P, _T]]: ...
@overload
def alru_cache(maxsize: Callable[_P, Coroutine[Any, Any, _T]], typed: bool = ...) -> _Alru[_P, _T]: ...
@overload
def alru_cache(maxsize: partialmethod[Coroutine[Any, Any, _T]], typed: bool = ...) -> _Alru[..., _T]: ...
