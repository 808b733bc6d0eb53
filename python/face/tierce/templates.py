"""Templates of keys and tags: parameters in braces, read when a function is decorated and filled at each call."""

import re
from string import Formatter

from .memo import _parameters

RESULT = "result"
"""The word by which a tag names what the function returned."""


def key_parts(key, named):
    """The name of the cache, and the places of the parameters that make up its keys."""
    (name, field), *rest = _fields(key, "key")
    fields = [field, *(field for _, field in rest)]
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}:?", name):
        raise ValueError(
            f"key {key!r} has to begin with a name of 1 to 64 of A-Z a-z 0-9 _ . -, as 'product:{{product_id}}' has"
        )
    if field is None:
        if named and not name.endswith(":"):
            example = f"{name}:{{{named[0]}}}"
            raise ValueError(
                f"key {key!r} names no parameter, so that all calls would share one value: write {example!r}, "
                f"or '{name}:' if they are to"
            )
        return name.removesuffix(":"), ()
    if not name.endswith(":") or any(text != ":" or field is None for text, field in rest):
        raise ValueError(
            f"key {key!r}: behind the name stand parameters alone, each behind a colon, as in 'product:{{product_id}}:{{language}}'"
        )
    for field in fields:
        if field not in named:
            raise ValueError(f"key {key!r}: {field!r} is none of the parameters {', '.join(named)}")
    return name.removesuffix(":"), tuple(named.index(field) for field in fields)


def tag_makers(function, templates, place):
    """Tags that all values have, and functions that give those of a call and those of a result."""
    fixed, of_call, of_result = [], [], []
    named = [one.name for one in _parameters(function) if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    for template in templates:
        fields = [re.split(r"[.\[]", field)[0] for _, field in _fields(template, "tag") if field is not None]
        for field in fields:
            if field != RESULT and field not in named:
                raise ValueError(f"tag {template!r}: {field!r} is neither result nor a parameter")
        if RESULT in fields and RESULT in named:
            raise ValueError(f"tag {template!r}: in tags result is what the function returns: rename the parameter")
        if not fields:
            if not template:
                raise ValueError("a tag must not be empty")
            fixed.append(template.format())
        else:
            (of_result if RESULT in fields else of_call).append(template)
    arguments = binder(function) if of_call or of_result else None

    def filled(template, names):
        try:
            return template.format_map(names)
        except Exception as error:
            error.add_note(f"in the tag {template!r} of {place}")
            raise

    def tags_of_call(args, kwargs):
        names = arguments(*args, **(kwargs or {}))
        return [filled(template, names) for template in of_call]

    def tags_of_result(args, kwargs, result):
        if result is None:
            # As in Rust, where there is nothing that a template could name.
            return []
        names = arguments(*args, **(kwargs or {}))
        names[RESULT] = result
        return [filled(template, names) for template in of_result]

    return fixed, tags_of_call if of_call else None, tags_of_result if of_result else None


def binder(function):
    """A function of the same parameters that gives the arguments by name, much sooner than Signature.bind."""
    from inspect import Parameter

    written, kind = [], None
    parameters = _parameters(function)
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
    all_ = "locals"
    while any(one.name == all_ for one in parameters):
        all_ += "_"
    space = {}
    exec(f"def arguments({', '.join(written)}): return {all_}()", {all_: locals}, space)
    made, with_default = space["arguments"], [one for one in parameters if one.default is not Parameter.empty]
    made.__defaults__ = tuple(one.default for one in with_default if one.kind is not Parameter.KEYWORD_ONLY)
    made.__kwdefaults__ = {one.name: one.default for one in with_default if one.kind is Parameter.KEYWORD_ONLY}
    made.__qualname__ = getattr(function, "__qualname__", type(function).__qualname__)
    return made


def _fields(template, what):
    """The texts and fields of a template, one after the other."""
    try:
        parts = list(Formatter().parse(template))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} {template!r} is no template: {error}") from None
    for text, field, spec, conversion in parts or [("", None, None, None)]:
        if field is not None and (spec or conversion or not field):
            raise ValueError(f"{what} {template!r}: only names stand in braces, as in {{user_id}}")
        yield text, field
