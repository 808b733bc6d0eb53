"""Keys of calls, for the decorators of compat.cachetools."""

__all__ = ["hashkey", "methodkey", "typedkey", "typedmethodkey"]


class _Mark:
    """Between what is given by position and by name; a class, so that it is itself again when it was pickled."""


def hashkey(*args, **kwargs):
    """The key of a call, however its names are ordered."""
    return (*args, _Mark, *sorted(kwargs.items())) if kwargs else args


def methodkey(self, /, *args, **kwargs):
    """The same without the first argument."""
    return hashkey(*args, **kwargs)


def typedkey(*args, **kwargs):
    """The key of a call that tells 3 and 3.0 apart."""
    return (*hashkey(*args, **kwargs), *map(type, args), *(type(value) for _, value in sorted(kwargs.items())))


def typedmethodkey(self, /, *args, **kwargs):
    """The same without the first argument."""
    return typedkey(*args, **kwargs)
