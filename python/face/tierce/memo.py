"""`memo`: results with an age, one load for all who ask, and keys that can be told to end."""

import weakref
from functools import partial, update_wrapper
from itertools import count
from types import CoroutineType, FunctionType, GenericAlias

from . import flight
from ._tierce import Memo, Ready
from .bound import BoundMemo
from .duration import milliseconds
from .lru import CacheInfo

__all__ = ["BoundMemo", "Memo", "memo"]

_NO_DEFAULT = object()

_numbers = count(1)


def memo(
    function=None,
    /,
    *,
    maxsize=10_000,
    ttl=None,
    stale=None,
    jitter=0.1,
    weight=None,
    weigher=None,
    per_instance=False,
    typed=True,
    copy=False,
    freeze=False,
):
    """Keep the results of a function, def or async def, and load each of them once for all who ask.

        @memo(maxsize=1024, ttl="5m", stale="1m")
        async def user(user_id: int) -> User: ...

        await user(42)               # loaded
        await user(42)               # from memory, without a task or a future
        user.invalidate(42)          # gone; a load that runs now is not kept
        await user.refresh(42)       # loaded anew
        user.set(some_user, 42)      # put in
        user.peek(42)                # what is in memory and fresh, or None
        user.cache_info()            # CacheInfo(hits=1, misses=1, maxsize=1024, currsize=1)
        user.cache_clear()

    Of any number of threads, tasks and loops that miss a key at once, one runs
    the function; the others wait for what it brings, its exception included.
    Exceptions are not kept, None is. A caller who is cancelled leaves, and
    nobody else; when the last has left, the load is cancelled too. A load may
    ask for other keys; one that waits for itself raises CycleError.

    Arguments must be hashable. user(42), user(user_id=42) and a default of 42
    are one key. A default that cannot be hashed counts as one value. On a class
    method put @memo above @classmethod.

    maxsize: how many results are kept; None keeps all. The least recently used go first.
    ttl: how long a result is fresh: "5m", seconds, or a timedelta. None: for ever.
    stale: how long past that it is served while one load runs behind it.
    jitter: the largest share that chance takes off the ttl, so that what was
        loaded together does not expire together.
    weight: how much all results together may weigh; weigher says what one
        does (sys.getsizeof unless given).
    per_instance: for methods: each instance has results of its own, of maxsize
        each, and is not kept alive by them. They hang on its __dict__; one that
        has none is kept alive by results that refer to it.
    typed: keep f(3), f(3.0) and f(True) apart.
    copy: give each caller a deep copy, or what the given function makes of the
        value. Otherwise all callers share one object.
    freeze: keep lists as tuples, sets as frozensets and dicts read-only, those of
        collections too, or what the given function makes of the value. Other
        classes that are derived from these are refused.
    """
    settings = _Settings(maxsize, ttl, stale, jitter, weight, weigher, per_instance, typed, copy, freeze)
    if function is not None:
        return _decorate(function, settings)
    return lambda function: _decorate(function, settings)


class _Settings:
    def __init__(self, maxsize, ttl, stale, jitter, weight, weigher, per_instance, typed, copy, freeze):
        _whole(maxsize, "maxsize", "a number of results is needed, or None for all")
        _whole(weight, "weight", "a whole number is needed, or None for any weight")
        _function_or((), weigher, "weigher", "a function of the value is needed")
        _function_or(bool, copy, "copy", "True, False or a function of the value is needed")
        _function_or(bool, freeze, "freeze", "True, False or a function of the value is needed")
        if weigher is not None and weight is None:
            raise TypeError("weigher says what a result weighs, and weight is missing: how much all may weigh")
        if stale is not None and ttl is None:
            raise TypeError("stale is counted from the end of ttl, and ttl is missing")
        if isinstance(jitter, bool) or not isinstance(jitter, (int, float)):
            raise TypeError(f"jitter={jitter!r}: a share between 0 and 1 is needed, 0 for none")
        if not 0 <= jitter <= 1:
            raise ValueError(f"jitter={jitter!r}: a share between 0 and 1 is needed")
        if copy and freeze:
            raise TypeError("copy and freeze exclude each other: what is frozen needs no copy")
        self.maxsize = maxsize
        self.ttl_ms = milliseconds(ttl, "ttl")
        self.stale_ms = milliseconds(stale, "stale") or 0
        self.jitter = round(jitter * 65536)
        self.weight = weight
        self.per_instance = per_instance
        self.typed = typed
        self.copy = _copier(copy)
        self.keep = _keeper(_changer(self.copy, freeze), _weigher(weight, weigher))
        self.parameters = {
            "maxsize": maxsize, "ttl": ttl, "stale": stale, "jitter": jitter, "weight": weight,
            "per_instance": per_instance, "typed": typed, "copy": copy, "freeze": freeze,
        }  # fmt: skip


_MOST = 2**63 - 1
"""What can be counted: a weight more, of what is kept already, still fits into the 64 bits of the counter."""


def _whole(number, name, needed):
    if number is None:
        return
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise TypeError(f"{name}={number!r}: {needed}")
    if number > _MOST:
        raise ValueError(f"{name}={number!r} is more than can be counted: {needed}")


def _function_or(kind, given, name, needed):
    if given is not None and not callable(given) and not isinstance(given, kind):
        raise TypeError(f"{name}={given!r}: {needed}")


def _copier(copy):
    if copy is True:
        from copy import deepcopy

        return deepcopy
    return copy or None


def _changer(copy, freeze):
    """What makes of a function's name and its result what is kept of that, or None."""
    if freeze is True:
        from .frozen import frozen

        return frozen
    change = copy or freeze
    return (lambda name, value: change(value)) if change else None


def _weigher(weight, weigher):
    if weight is None or weigher is not None:
        return weigher
    from sys import getsizeof

    return getsizeof


def _keeper(change, weigher):
    """Makes of a function's name and its result what is kept, and its weight; None where a result is kept as it is, and counts as one."""
    if change is None and weigher is None:
        return None

    def keep(name, value):
        value = value if change is None else change(name, value)
        weight = 1 if weigher is None else weigher(value)
        if isinstance(weight, bool) or not isinstance(weight, int) or weight < 0:
            raise TypeError(f"{name}: the weigher gave {weight!r}: a whole number is needed")
        return value, min(weight, _MOST)

    return keep


def _decorate(function, settings):
    import inspect

    if isinstance(function, classmethod):
        return _OfClass(_decorate(function.__func__, settings))
    if isinstance(function, staticmethod):
        return staticmethod(_decorate(function.__func__, settings))
    if isinstance(function, int):
        raise TypeError(f"memo decorates functions, and {function!r} is none: a number of results is memo(maxsize={function!r})")
    if not callable(function):
        raise TypeError(f"memo decorates functions, and {function!r} is none")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(f"{name} is a generator: it would be exhausted when it is served again")
    is_async = _is_async(function)
    made = _make(function, settings, is_async, 0)
    if is_async:
        _mark_async(made)
    return made


class _OfClass(classmethod):
    """A method of a class whose verbs know the class: from 3.13 on classmethod itself binds no descriptors."""

    def __get__(self, instance, owner=None):
        return self.__func__._bind(type(instance) if owner is None else owner)


def _is_async(function):
    import inspect

    if not hasattr(inspect, "markcoroutinefunction"):
        # Before 3.12 asyncio alone knows what was marked.
        import asyncio

        if asyncio.iscoroutinefunction(function):
            return True
    called = getattr(type(function), "__call__", None)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def _mark_async(made):
    """Frameworks ask whether a function is async; this one is called and awaited likewise."""
    import inspect

    if hasattr(inspect, "markcoroutinefunction"):
        inspect.markcoroutinefunction(made)
    else:
        import asyncio

        made._is_coroutine = asyncio.coroutines._is_coroutine


def _make(function, settings, is_async, skipped, told=_NO_DEFAULT):
    if is_async:
        from .flight_async import load
    else:
        load = flight.FACE
    per_instance = settings.per_instance and not skipped
    if told is _NO_DEFAULT:
        told = _signature(function, 1 if settings.per_instance else 0)
    made = Memo(
        function, load, settings.copy, told, _NO_DEFAULT, is_async, per_instance, skipped, settings.typed,
        settings.maxsize, settings.weight, settings.ttl_ms, settings.stale_ms, settings.jitter,
    )  # fmt: skip
    _dress(made, function)
    made._name = f"<memo {made.__qualname__} {next(_numbers)}>"
    made._keep = None if settings.keep is None else partial(settings.keep, made.__qualname__)
    made._settings = settings
    made._told = told
    made._is_async = is_async
    flight.memos.add(made)
    return made


def _dress(made, function):
    """Gives it the looks of the function, and nothing of what another cache has written on that for itself."""
    update_wrapper(made, function)
    for name in list(made.__dict__):
        if name in _PRIVATE or name.startswith("cache_") or hasattr(type(made), name) and not name.startswith("__"):
            del made.__dict__[name]
    made.__wrapped__ = function
    if not isinstance(made.__dict__.get("__qualname__"), str):
        made.__qualname__ = repr(function)


_PRIVATE = {"_bind", "_closed", "_is_async", "_is_coroutine", "_is_coroutine_marker", "_keep", "_name", "_place", "_settings", "_told"}


class _Default:
    """Stands in a key for a default that cannot be hashed."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"<the default of {self.name}>"


def _hashable(one):
    try:
        hash(one.default)
    except TypeError:
        return _Default(one.name)
    return one.default


def _parameters(function):
    """What a function takes itself, or None: a wrapper's __wrapped__ and __signature__ say what somebody else takes."""
    import inspect

    try:
        if isinstance(function, FunctionType):
            bare = FunctionType(function.__code__, {}, None, function.__defaults__, function.__closure__)
            bare.__kwdefaults__, function = function.__kwdefaults__, bare
        return list(inspect.signature(function, follow_wrapped=False).parameters.values())
    except (TypeError, ValueError):
        return None


def _signature(function, skipped, default=_hashable):
    """A function's parameters as the glue reads them, or None where calls are told apart as they are written."""
    import inspect

    kinds = inspect.Parameter
    parameters = _parameters(function)
    if parameters is None:
        return None
    named = [one for one in parameters if one.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)][skipped:]
    defaults = [_NO_DEFAULT if one.default is kinds.empty else default(one) for one in named]
    positional = [one for one in named if one.kind is not kinds.KEYWORD_ONLY]
    return (
        tuple(one.name for one in named),
        len(positional),
        sum(one.kind is kinds.POSITIONAL_ONLY for one in positional),
        tuple(defaults),
        any(one.kind is kinds.VAR_POSITIONAL for one in parameters),
        any(one.kind is kinds.VAR_KEYWORD for one in parameters),
    )


class _Verbs:
    """What can be said to a function that memo has made."""

    def invalidate(self, /, *args, **kwargs):
        """End the result of such a call: it is not served again, and a load of it that runs is not kept.

        Returns whether there was one.
        """
        own = self._own(*args, **kwargs) if self._settings.per_instance else self
        return own._drop(own.key(*args, **kwargs))

    def refresh(self, /, *args, **kwargs):
        """Load the result of such a call anew, keep and return it; of an async function, to be awaited."""
        own = self._own(*args, **kwargs) if self._settings.per_instance else self
        return own._load(own.key(*args, **kwargs), args, kwargs, True)

    def peek(self, /, *args, **kwargs):
        """The result of such a call if it is in memory and fresh, else None. Loads nothing, counts nothing."""
        own = self._own(*args, **kwargs) if self._settings.per_instance else self
        found = own._peek(own.key(*args, **kwargs))
        return None if found is None else found[0]

    def set(self, value, /, *args, **kwargs):
        """Keep value as the result of such a call; a load of it that runs is not kept."""
        if self._is_async and isinstance(value, (CoroutineType, Ready)):
            raise TypeError(f"{self.__qualname__}: {value!r} is to be awaited, and what it brings is the value to set")
        own = self._own(*args, **kwargs) if self._settings.per_instance else self
        key, weight = own.key(*args, **kwargs), 1
        if own._keep is not None:
            value, weight = own._keep(value)
        own._put(key, value, weight)

    def cache_info(self):
        """Hits, misses, maxsize and currsize; of all instances together where each has results of its own."""
        all_ = [one._counts() for one in self._instances() or (self,)]
        hits, misses, size = (sum(counts[at] for counts in all_) for at in (0, 1, 5))
        return CacheInfo(hits, misses, self._settings.maxsize, size)

    def cache_clear(self):
        """Forget all results and counts; loads that run are not kept."""
        for one in (self, *self._instances()):
            one._clear()

    def cache_parameters(self):
        """What memo was given."""
        return dict(self._settings.parameters)

    def _copied(self, value):
        copy = self._settings.copy
        return value if copy is None else copy(value)

    def _misfit(self, args, kwargs):
        """Says of arguments that do not fit what is wrong with them."""
        import inspect

        try:
            inspect.signature(self.__wrapped__, follow_wrapped=False).bind(*args, **kwargs)
        except (TypeError, ValueError) as error:
            raise TypeError(f"these arguments do not fit {self.__qualname__}: {error}") from None
        raise TypeError(f"these arguments do not fit {self.__qualname__}")

    def _behind(self, key, of, args, kwargs):
        flight.behind(self, key, of, args, kwargs)

    def _bind(self, instance):
        return BoundMemo(self, instance)

    def _adopt(self, instance):
        """What holds the results of an instance that has none yet, and goes with it."""
        try:
            weakref.ref(instance)
        except TypeError:
            raise TypeError(_no_instance(self.__qualname__, type(instance))) from None
        own = _make(self.__wrapped__, self._settings, self._is_async, 1, self._told)
        own.__qualname__ = self.__qualname__
        entry = _entry(instance, self._name)
        from_weak, address = weakref.ref(self), id(instance)
        entry_weak = None if entry is None else weakref.ref(entry)

        def gone(of):
            memo, entry = from_weak(), entry_weak and entry_weak()
            if memo is not None:
                memo._drop_instance(address, of)
            if entry is not None:
                # A shallow copy of the instance has the same entry in its __dict__.
                entry.owns.pop(address, None)

        of = weakref.ref(instance, gone)
        if entry is None:
            return self._keep_instance(instance, of, own, own)
        # The instance keeps it alive, so that a result which refers to the instance is one cycle with it.
        kept = self._keep_instance(instance, of, own, weakref.ref(own))
        if kept is own:
            entry.owns[address] = own
        return kept

    def __reduce__(self):
        return self.__qualname__

    def __copy__(self):
        return self

    def __deepcopy__(self, memo, /):
        return self

    def __repr__(self):
        return f"<memo of {self.__wrapped__!r}>"


Memo.__class_getitem__ = classmethod(GenericAlias)
Memo._closed = None  # the sentence of an alru_cache that was closed
for _name, _verb in vars(_Verbs).items():
    if callable(_verb) and _name not in ("__init__",):
        setattr(Memo, _name, _verb)
        if hasattr(_verb, "__qualname__"):
            _verb.__qualname__ = f"Memo.{_name}"
del _name, _verb


class _Kept:
    """Keeps an instance's results alive, in its __dict__: a deep copy or a pickle of the instance has none of them.

    Instances that share a __dict__ share the entry, which has the results of each by its address. A shallow copy has this entry
    itself, since copy.copy asks no value of a __dict__. What it holds is never served there: it is found by the instance. It
    stays until the instance is gone or the copy has results of its own.
    """

    __slots__ = ("owns", "space", "__weakref__")

    def __init__(self, space=None):
        self.owns = {}
        # The address of the __dict__ that it was made for.
        self.space = space

    def __reduce__(self):
        return _Kept, ()

    def __eq__(self, other):
        return isinstance(other, _Kept)

    __hash__ = None


def _entry(instance, name):
    """The entry of a __dict__ that holds the results of its instances, or None for one without a __dict__."""
    space = getattr(instance, "__dict__", None)
    if not isinstance(space, dict) or space is not instance.__dict__:
        return None
    entry = space.setdefault(name, _Kept(id(space)))
    if entry.space != id(space):
        # That of the instance from which this one was copied.
        entry = space[name] = _Kept(id(space))
    return entry


_HEAP_TYPE = 1 << 9
"""Of a class that was made by a class statement: Py_TPFLAGS_HEAPTYPE."""


def _no_instance(name, kind):
    """Why a method with per_instance=True cannot be called on what is of this class."""
    if kind.__flags__ & _HEAP_TYPE and not kind.__itemsize__:
        return (
            f"{name} with per_instance=True needs instances that can be referred to weakly: "
            f"add '__weakref__' to {kind.__qualname__}.__slots__"
        )
    return (
        f"{name} with per_instance=True keeps results for each instance, and was given a {kind.__qualname__}, which cannot be "
        "referred to weakly: leave per_instance out, or call it on an instance of another class"
    )


def _register():
    from collections.abc import Coroutine

    Coroutine.register(Ready)


_register()
