"""Values as bytes for other processes: what a function's return annotation says of them.

codec_of makes a codec of an annotation; it packs values of exactly that type, and
unpacks them to the same. docs/python.md says what a value may be, docs/wire.md
what the bytes are.
"""

import sys

from ._tierce import Codec, _codec

__all__ = ["Codec", "codec_of", "codec_of_function"]


def codec_of(annotation, function_name, /, *, namespace=None, type_params=()):
    """A codec for values of this annotation. function_name is for messages.

    namespace is where the names of annotations that are texts are looked up.
    Raises TypeError for an annotation whose values would not come back.
    """
    from .forms import Plan, Unfit

    try:
        plan = Plan(namespace or {}, type_params)
        root = plan.form(_awaited(plan.resolved(annotation)))
        forms = plan.finished()
    except Unfit as unfit:
        raise TypeError(f"{function_name}: the return annotation: {unfit}") from unfit.__cause__
    return _codec((forms, function_name, root))


def codec_of_function(function, /):
    """A codec for what the function returns, or for what is awaited of it."""
    # As typing.get_type_hints: a wrapper has the annotations of what it wraps, whose module the names are of.
    inner, seen = function, set()
    while hasattr(inner, "__wrapped__") and id(inner) not in seen:
        seen.add(id(inner))
        inner = inner.__wrapped__
    name = getattr(function, "__qualname__", None) or repr(function)
    annotation = _return_of(function if hasattr(function, "__annotations__") else inner)
    namespace = {**getattr(inner, "__globals__", {}), **_cells(inner)}
    return codec_of(annotation, name, namespace=namespace, type_params=getattr(inner, "__type_params__", ()))


def _return_of(function):
    """The return annotation as it is written; Any where there is none."""
    from typing import Any

    try:
        annotations = function.__annotations__
    except AttributeError:
        return Any
    except NameError:
        # From 3.14 on annotations are evaluated when they are asked for, and that of a parameter may name what is not there.
        if sys.version_info < (3, 14):
            raise
        from annotationlib import Format, get_annotations

        annotations = get_annotations(function, format=Format.FORWARDREF)
    return annotations.get("return", Any)


def _awaited(annotation):
    """Of an annotation that says what is awaited, that: of a function that is not `async` itself."""
    from collections.abc import Awaitable, Coroutine
    from typing import get_args, get_origin

    return get_args(annotation)[-1] if get_origin(annotation) in (Awaitable, Coroutine) else annotation


def _cells(function):
    """Names of the functions around it that it uses."""
    names, cells = getattr(getattr(function, "__code__", None), "co_freevars", ()), getattr(function, "__closure__", None)
    found = {}
    for name, cell in zip(names, cells or ()):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            pass  # not set yet
    return found
