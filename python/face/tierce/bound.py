"""A method made by `memo` or `cached`, of one instance or class."""

from types import GenericAlias

__all__ = ["BoundCached", "BoundMemo"]


class _OfFunction(str):
    """What the class says of itself, and of each bound method its function: object.__getattribute__ finds the class's first.

    It is a str, since the interpreter reads a class's __module__ without asking a descriptor.
    """

    def __new__(cls, name, own):
        made = super().__new__(cls, own)
        made.name = name
        return made

    def __get__(self, instance, owner=None):
        return str(self) if instance is None else getattr(instance.__func__, self.name)

    def __reduce__(self):
        return str, (str(self),)


class Bound:
    """What bound methods of both kinds have: the function's verbs, for their instance."""

    __class_getitem__ = classmethod(GenericAlias)

    __slots__ = ("__func__", "__self__", "__weakref__")

    def __init__(self, function, instance):
        self.__func__ = function
        self.__self__ = instance

    def __call__(self, /, *args, **kwargs):
        return self.__func__(self.__self__, *args, **kwargs)

    def invalidate(self, /, *args, **kwargs):
        """As the function\'s own, for this instance."""
        return self.__func__.invalidate(self.__self__, *args, **kwargs)

    def refresh(self, /, *args, **kwargs):
        """As the function\'s own, for this instance."""
        return self.__func__.refresh(self.__self__, *args, **kwargs)

    def peek(self, /, *args, **kwargs):
        """As the function\'s own, for this instance."""
        return self.__func__.peek(self.__self__, *args, **kwargs)

    def set(self, value, /, *args, **kwargs):
        """As the function\'s own, for this instance."""
        return self.__func__.set(value, self.__self__, *args, **kwargs)

    def key(self, /, *args, **kwargs):
        """As the function\'s own, for this instance."""
        return self.__func__.key(self.__self__, *args, **kwargs)

    def __getattr__(self, name):
        if name in ("__func__", "__self__"):
            raise AttributeError(name)  # of one that is not made yet
        if name == "__signature__":
            return _bound_signature(self.__func__)
        return getattr(self.__func__, name)

    def __reduce__(self):
        return getattr, (self.__self__, self.__func__.__name__)

    def __copy__(self):
        return type(self)(self.__func__, self.__self__)

    def __deepcopy__(self, memo, /):
        from copy import deepcopy

        return type(self)(self.__func__, deepcopy(self.__self__, memo))

    def __eq__(self, other):
        if not isinstance(other, Bound):
            return NotImplemented
        return self.__func__ is other.__func__ and self.__self__ is other.__self__

    def __hash__(self):
        return hash((id(self.__func__), id(self.__self__)))

    def __repr__(self):
        return f"<bound {self.__func__!r} of {self.__self__!r}>"


class BoundMemo(Bound):
    """A method made by memo, of one instance."""

    __slots__ = ()

    def cache_info(self):
        """As Memo.cache_info; of this instance alone with per_instance=True."""
        return self._own().cache_info()

    def cache_clear(self):
        """As Memo.cache_clear; of this instance alone with per_instance=True."""
        self._own().cache_clear()

    def _own(self):
        function = self.__func__
        return function._own(self.__self__) if function._settings.per_instance else function


class BoundCached(Bound):
    """A method made by cached, of one instance."""

    __slots__ = ()

    @property
    def blocking(self):
        """As the function's own, for this instance."""
        from .blocking import Blocking

        return Blocking(self)


def _of_instance(name):
    def verb(self, /, *args, **kwargs):
        return getattr(self.__func__, name)(self.__self__, *args, **kwargs)

    verb.__name__, verb.__qualname__ = name, f"BoundCached.{name}"
    verb.__doc__ = "As the function's own, for this instance."
    return verb


for _name in ("get", "mark_stale", "touch", "explain", "hold"):
    setattr(BoundCached, _name, _of_instance(_name))
BoundCached.set_through = lambda self, write, /, *args, **kwargs: self.__func__.set_through(
    write, self.__self__, *args, **kwargs
)


for _kind in (BoundMemo, BoundCached):
    for _name in ("__doc__", "__module__"):
        setattr(_kind, _name, _OfFunction(_name, getattr(_kind, _name)))
del _kind, _name


def _bound_signature(function):
    import inspect

    whole = inspect.signature(function)
    first, *rest = whole.parameters.values()
    return whole if first.kind is first.VAR_POSITIONAL else whole.replace(parameters=rest)
