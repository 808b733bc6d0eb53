"""Values that nobody can change: what is shared among callers stays what it was."""

from collections import Counter, OrderedDict, defaultdict
from types import MappingProxyType


def frozen(name, value):
    """The value with its lists as tuples, its sets as frozensets and its dicts read-only, all the way down.

    So are an OrderedDict, a defaultdict, which makes no defaults then, and a Counter. Of another class that is derived from
    one of these it is not known what it is without what changes it: it is refused, by the name of the function that gave it.
    Other objects stay as they are. A value that contains itself raises RecursionError.
    """
    kind = type(value)
    if kind in (list, tuple):
        return tuple(frozen(name, one) for one in value)
    if kind in (set, frozenset):
        return frozenset(value)
    if kind in (dict, OrderedDict, defaultdict, Counter, MappingProxyType):
        own = kind if kind in (OrderedDict, Counter) else dict
        return MappingProxyType(own({key: frozen(name, one) for key, one in value.items()}))
    if kind is bytearray:
        return bytes(value)
    if isinstance(value, tuple):
        return _same_tuple(name, kind, value)
    if isinstance(value, (list, set, dict, bytearray)):
        raise _refused(name, kind)
    return value


def _same_tuple(name, kind, value):
    """A tuple of a class of its own: one with names for its items is made anew of them."""
    items = tuple(frozen(name, one) for one in value)
    if all(one is before for one, before in zip(items, value)):
        return value
    if hasattr(kind, "_make"):
        return kind._make(items)
    raise _refused(name, kind)


def _refused(name, kind):
    return TypeError(
        f"{name}: freeze=True cannot freeze a {kind.__qualname__}, a class of its own: say freeze=function, which makes of the "
        "result what nobody can change, or copy=True"
    )
