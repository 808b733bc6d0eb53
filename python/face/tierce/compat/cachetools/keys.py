"""Keys of calls, for the decorators of compat.cachetools."""

__all__ = ["hashkey", "methodkey", "typedkey", "typedmethodkey"]


class _Key(tuple):
    """A tuple that is hashed once."""

    _hash = None

    def __hash__(self):
        if self._hash is None:
            self._hash = tuple.__hash__(self)
        return self._hash

    def __add__(self, other):
        return _Key(tuple.__add__(self, other))

    def __radd__(self, other):
        return _Key(tuple.__add__(other, self))

    def __getstate__(self):
        return {}  # the hash of a str differs between processes


class _Mark:
    """Between what is given by position and by name."""

    def __reduce__(self):
        return "_MARK"


_MARK = _Mark()


def hashkey(*args, **kwargs):
    """The key of a call, however its names are ordered."""
    if not kwargs:
        return _Key(args)
    return _Key((*args, _MARK, *(part for item in sorted(kwargs.items()) for part in item)))


def methodkey(self, /, *args, **kwargs):
    """The same without the first argument."""
    return hashkey(*args, **kwargs)


def typedkey(*args, **kwargs):
    """The key of a call that tells 3 and 3.0 apart."""
    types = (*map(type, args), *(type(value) for _, value in sorted(kwargs.items())))
    return hashkey(*args, **kwargs) + types


def typedmethodkey(self, /, *args, **kwargs):
    """The same without the first argument."""
    return typedkey(*args, **kwargs)
