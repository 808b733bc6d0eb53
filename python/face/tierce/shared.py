"""`cached`: values with an age and tags, in tierce's engine: one load for all who ask, on asyncio's own loop."""

import atexit
import os
import re
import weakref
from contextvars import ContextVar
from string import Formatter
from types import FunctionType, GenericAlias
from typing import NamedTuple

from ._tierce import Cached, Lookup, _end, _forget_loops
from ._tierce import Hub as _Hub
from .duration import milliseconds
from .memo import _NO_DEFAULT, _is_async, _mark_async, _signature

__all__ = ["BoundCached", "Cached", "Hub", "Stats", "cached", "hub"]


def cached(function=None, /, *, ttl="5m", stale=None, tags=(), key=None, maxsize=10_000, hub=None):
    """Keep the values of an async function, load each once for all who ask, and end them by key or by tag.

        @cached(ttl="10m", key="product:{product_id}", tags=["products", "category:{result[category_id]}"])
        async def product(product_id: int) -> dict: ...

        await product(42)                          # loaded
        await product(42)                          # from memory, without a task or a future
        await product.invalidate(42)               # gone; a load that runs now is not kept
        await hub().invalidate_tag("category:3")   # all that has the tag
        await product.refresh(42)                  # loaded anew
        await product.set(some_product, 42)        # put in
        product.peek(42)                           # what is in memory and fresh, or None
        product.key(42)                            # 'product:42'
        product.stats()                            # Stats(hits=1, misses=1, ...)
        await product.clear()                      # all of it gone

    The load is a task of the loop of whoever asked first, in a copy of his
    context, and goes on when he leaves. Exceptions go to all who wait and are not
    kept; None is a value. If the load is cancelled, who asked first gets
    LoadCancelledError, and one of the others loads.

    ttl: how long a value is fresh, less up to a tenth by chance. None: for ever.
    stale: how long past that it is served while one load runs behind it.
    tags: names by which values are ended together. In braces stand parameters
        of the function, or result: "user:{user_id}", "category:{result[category_id]}".
    key: the cache's name, and the parameters that tell values apart:
        "product:{product_id}". Unless given, the function's name, and all of them.
    maxsize: how many values are kept; None keeps all.
    hub: where; the process's own unless given.

    A key is made of int, str, bool, None, float, bytes, UUID, date and tuples of
    these. For another argument either leave it out of the key, or give its text.
    """
    settings = (ttl, stale, tags, key, maxsize, hub)
    if function is not None:
        return _decorate(function, *settings)
    return lambda function: _decorate(function, *settings)


class Stats(NamedTuple):
    """What was counted since the function was decorated; the last two are how many there are now."""

    hits: int
    misses: int
    stale_hits: int
    coalesced: int
    loads: int
    load_errors: int
    refused: int
    loading: int
    entries: int


class Hub:
    """What cached functions share: tags, and the place of their values: this process, and a store beside it if one is named.

    url: "redis://[user:password@]host[:6379][/database]" (or valkey://),
        "memcached://host[:11211],host2,...", the same with TLS as rediss:// and
        memcacheds://, or "redis+unix:///path". Nothing is opened before the first
        question; a store that does not answer is no error: functions load then.
    namespace: what the names of all entries begin with, "tierce" unless said.

    Raises ValueError for a URL that is none, OSError for a file that it names.
    """

    def __init__(self, url=None, /, *, namespace=None):
        self._hub = _Hub(_checked(url), namespace)
        self._has_store = url is not None
        # Cached functions by the names of their caches.
        self._functions = weakref.WeakValueDictionary()

    def invalidate_tag(self, tag, /):
        """End all that has this tag, and all loads that will turn out to have it. To be awaited."""
        return self._hub.invalidate_tag(tag)

    def cached(self, function=None, /, **settings):
        """As cached, in this hub."""
        return cached(function, hub=self, **settings)

    def _codec(self, function):
        """How a function's values are packed; None where nothing is."""
        if not self._has_store:
            return None
        from .values import codec_of_function

        try:
            return codec_of_function(function)
        except NameError:
            # What it names is defined later: looked up again when it is first needed.
            return lambda: codec_of_function(function)

    def _name(self, name, function):
        """The name for a function's cache: another's is refused, that of an older definition is left to it."""
        chosen = name or re.sub(r"[^A-Za-z0-9_.-]", "-", f"{function.__module__}.{function.__qualname__}")[-56:]
        other = self._functions.get(chosen)
        if name and other is not None and _place(other) != _place(function):
            raise ValueError(f"the cache {name!r} is that of {_place(other)}: two functions may not share one")
        taken, number = chosen, 1
        while taken in self._functions:
            number += 1
            taken = f"{chosen}.{number}"
        return taken


_of_process = None


def hub():
    """The hub of functions that name none."""
    global _of_process
    if _of_process is None:
        _of_process = Hub(os.environ.get("TIERCE_URL"), namespace=os.environ.get("TIERCE_NAMESPACE"))
    return _of_process


def configure(url, /, *, namespace=None):
    """Name the store of the process's own hub, for the functions decorated before and after.

    What they had in memory is forgotten. Call it once, when the application
    begins. The environment's TIERCE_URL (and TIERCE_NAMESPACE) does the same.
    """
    global _of_process
    before, made = hub(), Hub(url, namespace=namespace)
    for name, function in list(before._functions.items()):
        function._bind_to(made._hub, name, made._codec(function))
        made._functions[name] = function
    _of_process = made
    return made


def _checked(url):
    """The URL, whose files have been looked at."""
    if url is not None and not isinstance(url, str):
        raise TypeError(f"{url!r} is no URL of a store, as \"redis://127.0.0.1:6379\" is")
    return url


def _place(function):
    return f"{function.__module__}.{function.__qualname__}"


def _decorate(function, ttl, stale, tags, key, maxsize, in_hub):
    from functools import update_wrapper

    if not callable(function):
        raise TypeError(f"cached decorates functions, and {function!r} is none")
    is_async = _is_async(function)
    if maxsize is not None and (isinstance(maxsize, bool) or not isinstance(maxsize, int) or maxsize < 1):
        raise TypeError(f"maxsize={maxsize!r}: a number of values is needed, or None for all")
    if in_hub is not None and not isinstance(in_hub, Hub):
        raise TypeError(f"hub={in_hub!r}: a Hub() is needed, or None for that of the process")
    if isinstance(tags, str):
        raise TypeError(f"tags={tags!r}: a list of tags is needed")
    told = _signature(function, 0)
    if told is None:
        raise TypeError(f"the parameters of {function!r} are unknown")
    named = told[0]
    name, picks = (None, None) if key is None else _of_template(key, named)
    fixed, of_call, of_result = _tags(function, list(tags), named)
    in_hub = hub() if in_hub is None else in_hub
    name = in_hub._name(name, function)
    made = Cached(
        in_hub._hub, name, function, told, _NO_DEFAULT, picks, fixed, of_call, of_result,
        maxsize, milliseconds(ttl, "ttl"), milliseconds(stale, "stale"), in_hub._codec(function),
        is_async,
    )  # fmt: skip
    update_wrapper(made, function)
    if is_async:
        _mark_async(made)
    in_hub._functions[name] = made
    return made


def _fields(template, what):
    """The texts and fields of a template, one after the other."""
    try:
        parts = list(Formatter().parse(template))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} {template!r} is no template: {error}") from None
    for text, field, spec, conversion in parts:
        if field is not None and (spec or conversion or not field):
            raise ValueError(f"{what} {template!r}: only names stand in braces, as in {{user_id}}")
        yield text, field


def _of_template(key, named):
    """The name of the cache, and the places of the parameters that make up its keys."""
    texts, picks = [], []
    for text, field in _fields(key, "key"):
        texts += [part for part in text.split(":") if part]
        if field is not None and field not in named:
            raise ValueError(f"key {key!r}: {field!r} is none of the parameters {', '.join(named)}")
        if field is not None:
            picks.append(named.index(field))
    name = ".".join(texts)
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
        raise ValueError(f"key {key!r} has to begin with a name of A-Z a-z 0-9 _ . -, as 'product:{{product_id}}' has")
    return name, tuple(picks)


def _tags(function, templates, named):
    """Tags that all values have, and functions that give those of a call and those of a result."""
    fixed, of_call, of_result = [], [], []
    for template in templates:
        fields = [re.split(r"[.\[]", field)[0] for _, field in _fields(template, "tag") if field is not None]
        for field in fields:
            if field != "result" and field not in named:
                raise ValueError(f"tag {template!r}: {field!r} is neither result nor a parameter")
        if not fields:
            fixed.append(template.format())
        else:
            (of_result if "result" in fields else of_call).append(template)
    arguments = _binder(function) if of_call or of_result else None

    def tags_of_call(args, kwargs):
        names = arguments(*args, **(kwargs or {}))
        return [template.format_map(names) for template in of_call]

    def tags_of_result(args, kwargs, result):
        names = arguments(*args, **(kwargs or {}))
        names["result"] = result
        return [template.format_map(names) for template in of_result]

    return fixed, tags_of_call if of_call else None, tags_of_result if of_result else None


def _binder(function):
    """A function of the same parameters that gives the arguments by name, much sooner than Signature.bind."""
    from inspect import Parameter, signature

    written, kind = [], None
    parameters = list(signature(function, follow_wrapped=False).parameters.values())
    for one in parameters:
        if kind is Parameter.POSITIONAL_ONLY and one.kind is not kind:
            written.append("/")
        if one.kind is Parameter.KEYWORD_ONLY and kind not in (one.kind, Parameter.VAR_POSITIONAL):
            written.append("*")
        kind = one.kind
        stars = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}.get(kind, "")
        written.append(stars + one.name + ("" if one.default is Parameter.empty else "=None"))
    if kind is Parameter.POSITIONAL_ONLY:
        written.append("/")
    space = {}
    exec(f"def arguments({', '.join(written)}): return locals()", {"locals": locals}, space)
    made, with_default = space["arguments"], [one for one in parameters if one.default is not Parameter.empty]
    made.__defaults__ = tuple(one.default for one in with_default if one.kind is not Parameter.KEYWORD_ONLY)
    made.__kwdefaults__ = {one.name: one.default for one in with_default if one.kind is Parameter.KEYWORD_ONLY}
    return made


class BoundCached:
    """A method made by cached, of one instance."""

    __slots__ = ("__func__", "__self__", "__weakref__")

    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, function, instance):
        self.__func__ = function
        self.__self__ = instance

    def __call__(self, /, *args, **kwargs):
        return self.__func__(self.__self__, *args, **kwargs)

    def invalidate(self, /, *args, **kwargs):
        """As Cached.invalidate, for this instance."""
        return self.__func__.invalidate(self.__self__, *args, **kwargs)

    def refresh(self, /, *args, **kwargs):
        """As Cached.refresh, for this instance."""
        return self.__func__.refresh(self.__self__, *args, **kwargs)

    def peek(self, /, *args, **kwargs):
        """As Cached.peek, for this instance."""
        return self.__func__.peek(self.__self__, *args, **kwargs)

    def set(self, value, /, *args, **kwargs):
        """As Cached.set, for this instance."""
        return self.__func__.set(value, self.__self__, *args, **kwargs)

    def key(self, /, *args, **kwargs):
        """As Cached.key, for this instance."""
        return self.__func__.key(self.__self__, *args, **kwargs)

    def __getattr__(self, name):
        if name in ("__func__", "__self__"):
            raise AttributeError(name)  # of one that is not made yet
        return getattr(self.__func__, name)

    def __repr__(self):
        return f"<bound {self.__func__!r} of {self.__self__!r}>"


def _stats(self):
    """What was counted since the function was decorated."""
    return Stats(*self._counts())


Cached.__class_getitem__ = classmethod(GenericAlias)
Cached.stats = _stats
Cached._bind = lambda self, instance: BoundCached(self, instance)
Cached.__repr__ = lambda self: f"<cached {self.__wrapped__!r}>"
Cached.__reduce__ = lambda self: self.__qualname__
Cached.__copy__ = lambda self: self
Cached.__deepcopy__ = lambda self, memo, /: self

# --- what the glue asks for -----------------------------------------------------------------------

_inside = ContextVar("tierce.inside")
"""The load that a loader belongs to: what it asks for must not wait for that."""


async def _until_shutdown(end):
    try:
        yield
    finally:
        end()


def _at_shutdown(end):
    """Calls end when the running loop shuts its async generators down, as asyncio.run does last."""
    generator = _until_shutdown(end)
    try:
        generator.__anext__().send(None)
    except StopIteration:
        pass
    return generator


def _release(generator):
    """Ends what _at_shutdown made, which runs if it is that which asks: to let it go would make a task on its loop."""
    if not generator.ag_running:
        try:
            generator.aclose().send(None)
        except StopIteration:
            pass


def _makes_tasks(loop):
    """Whether a loop's type has a create_task of its own, as one that traces has."""
    from asyncio import BaseEventLoop

    create = type(loop).create_task
    return isinstance(create, FunctionType) and create is not BaseEventLoop.create_task


def _part(value):
    """What stands in a key for an argument that is not plain."""
    from datetime import date
    from uuid import UUID

    if type(value) in (UUID, date):
        return str(value)
    kind = type(value).__qualname__
    raise TypeError(f"a {kind} has no place in a key: leave it out by key=\"name:{{other_argument}}\", or give its text")


def _register():
    from collections.abc import Coroutine

    Coroutine.register(Lookup)
    atexit.register(_end)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_loops)


_register()
