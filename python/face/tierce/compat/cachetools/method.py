"""`cachedmethod`: a method whose results are kept in a mapping that its instance has."""

from functools import partial, update_wrapper
from types import MethodType

from . import keys
from .wrapper import Counted, Lookup

__all__ = ["cachedmethod"]

_OVERRIDDEN = "__cachetools_cachedmethods"
"""Where an instance keeps the methods that are reached by super() alone; the name is cachetools'."""


class _Bound:
    """A method made by cachedmethod, of one instance. It stands in the instance's __dict__, with counts of its own."""

    def __init__(self, of, instance):
        update_wrapper(self, of.__wrapped__)
        super().__init__(MethodType(of.__wrapped__, instance))
        self._of = of
        self._instance = instance
        self.cache_key = partial(of.key, instance)

    @property
    def cache(self):
        """The mapping of this instance."""
        return self._of.cache(self._instance)

    @property
    def cache_lock(self):
        """What is held while the mapping is looked at, or None."""
        lock = self._of.lock or self._of.condition
        return None if lock is None else lock(self._instance)

    @property
    def cache_condition(self):
        """What those wait on who ask for a key that is loading, or None."""
        condition = self._of.condition
        return None if condition is None else condition(self._instance)

    def __reduce__(self):
        return self._of.__get__, (self._instance,)

    def __repr__(self):
        return f"<cachedmethod {self.__wrapped__!r} of {object.__repr__(self._instance)}>"


class _Plain(_Bound, Lookup):
    pass


class _Counted(_Bound, Counted):
    pass


class _Method:
    """What stands in the class."""

    def __init__(self, method, kind, cache, key, lock, condition):
        update_wrapper(self, method)
        self.kind = kind
        self.cache = cache
        self.key = key
        self.lock = lock
        self.condition = condition
        self._owner = None
        self._name = None
        self._unbound = None

    def __set_name__(self, owner, name):
        if self._name is None:
            self._owner, self._name = owner, name
        elif name != self._name:
            raise TypeError(f"one cachedmethod cannot have two names, {self._name!r} and {name!r}")

    def __get__(self, instance, owner=None):
        if self._name is None:
            if isinstance(instance, type):
                self()  # a class method, before 3.13
            raise TypeError("a cachedmethod has to be named in the body of its class, which calls __set_name__")
        if instance is None:
            if self._unbound is None:
                self._unbound = _Unbound(self)
            return self._unbound
        space = getattr(instance, "__dict__", None)
        if space is None:
            raise TypeError(f"No '__dict__' attribute on {type(instance).__name__!r} instance to cache {self._name!r}")
        stands = next((vars(one)[self._name] for one in type(instance).__mro__ if self._name in vars(one)), None)
        try:
            if stands is self:
                name = self._name
            else:
                # Overridden: the name is another's.
                space, name = space.setdefault(_OVERRIDDEN, {}), self
            if name in space:
                return space[name]
            # Another thread may have been quicker: there is one for all.
            return space.setdefault(name, self.kind(self, instance))
        except TypeError as error:
            if not hasattr(space, "setdefault") or callable(self.key):
                raise TypeError(
                    f"The '__dict__' attribute on {type(instance).__name__!r} instance does not support item "
                    f"assignment for caching {self._name!r}"
                ) from None
            raise error

    def __call__(self, /, *args, **kwargs):
        raise TypeError(
            "cachedmethod must be the outermost decorator: it cannot be called where it was wrapped again, as a class method, "
            "a static method or a property"
        )

    def __reduce__(self):
        return _found, (self._owner, self._name)


def _found(owner, name):
    return vars(owner)[name]


class _Unbound:
    """The method as the class gives it: called with the instance first."""

    def __init__(self, of):
        update_wrapper(self, of.__wrapped__)
        self._of = of

    def __get__(self, instance, owner=None):
        return self if instance is None else self._of.__get__(instance)

    def __call__(self, /, *args, **kwargs):
        if args:
            instance, *args = args
        else:
            instance = self._named(kwargs)
        return self._of.__get__(instance)(*args, **kwargs)

    def _named(self, kwargs):
        """The instance, given by name."""
        from inspect import signature

        first = next(iter(signature(self.__wrapped__).parameters.values()), None)
        if first is None or first.kind is not first.POSITIONAL_OR_KEYWORD or first.name not in kwargs:
            raise TypeError("a cachedmethod that is called through its class needs an instance")
        return kwargs.pop(first.name)

    def __reduce__(self):
        return self._of.__get__, (None,)

    def __repr__(self):
        return f"<cachedmethod {self.__wrapped__!r}>"


def cachedmethod(cache, key=keys.methodkey, lock=None, condition=None, info=False):
    """Keep the results of a method in the mapping that `cache(self)` gives.

    lock, condition: as cached has them; called with self as well.
    info: give the method of each instance a cache_info().

    Instances need a __dict__: what an instance's method has counted stands there.
    """
    if not callable(cache):
        raise TypeError("cache must be callable: it is given the instance, and gives its mapping")
    kind = _Counted if info else _Plain
    return lambda method: _Method(method, kind, cache, key, lock, condition)
