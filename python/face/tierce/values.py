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
        root = plan.form(plan.resolved(annotation))
        forms = plan.finished()
    except Unfit as unfit:
        raise TypeError(f"{function_name}: the return annotation: {unfit}") from unfit.__cause__
    return _codec((forms, function_name, root))


def codec_of_function(function, /):
    """A codec for what the function returns, or for what is awaited of it."""
    from types import FunctionType

    inner = function
    while not isinstance(inner, FunctionType) and hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    name = getattr(function, "__qualname__", None) or repr(function)
    annotation = _return_of(inner)
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
