"""Unions and literals: what of several a value is has to be seen from what MessagePack tells apart."""

import types
import typing
from typing import Any, Literal, Union

from .forms import Unfit, is_name, known_class, stripped, text_of

_KINDS = ("nil", "bool", "integer", "float", "text", "bytes", "array", "map", "extension")
"""What MessagePack tells apart, in the order of the glue (`Kind`)."""

_NAMES = {**{kind: f"a {kind}" for kind in _KINDS}, "integer": "a whole number", "bytes": "a run of bytes", "array": "an array"}

_OF = {
    "None": ["nil"], "bool": ["bool"], "int": ["integer", "bytes"], "short int": ["integer"], "float": ["float", "integer"],
    "exact float": ["float"], "str": ["text"], "bytes": ["bytes"], "bytearray": ["bytes"], "complex": ["array"],
    **dict.fromkeys(["datetime", "date", "time", "Decimal", "enum"], ["text"]),
    **dict.fromkeys(["timedelta", "flag"], ["integer"]), "UUID": ["bytes"],
    **dict.fromkeys(["list", "tuple of", "tuple", "set", "frozenset", "deque"], ["array"]),
    **dict.fromkeys(["dict", "record", "typed dict"], ["map"]),
}  # fmt: skip


def literal(plan, values):
    """The form of a Literal: each value, and what is packed for it."""
    from enum import Enum

    pairs = []
    for value in values:
        plain = value.name if isinstance(value, Enum) else value
        if any(type(plain) is type(other) and plain == other for _, other in pairs):
            if not any(value is one or type(value) is type(one) and value == one for one, _ in pairs):
                raise Unfit(f"{text_of(Literal[values])}: two of its values have the name {plain!r}")
            continue
        pairs.append((value, plain))
    return plan.add("literal", text_of(Literal[values]), tuple(pairs))


def union(plan, annotation):
    """The form of a Union, unless it is that of a part."""
    members = list(_members(plan, annotation, 0))
    text = text_of(annotation)
    literals = tuple(value for one in members if _is_literal(one) for value in typing.get_args(one))
    members = [one for one in members if not _is_literal(one)]
    # A literal beside its whole type says nothing more.
    literals = tuple(value for value in literals if type(value) not in members)
    numbers = [plan.form(one) for one in members]
    if literals:
        numbers.append(literal(plan, literals))
    if any(plan.forms[number][0] == "bare" for number in numbers):
        return plan.form(Any)
    if len(numbers) == 1:
        return numbers[0]
    numbers = [_narrowed(plan, number, numbers) for number in numbers]
    of_kinds, of_types = dict.fromkeys(_KINDS, -1), []
    for number in numbers:
        form = plan.forms[number]
        for kind in _kinds(form):
            if of_kinds[kind] >= 0:
                _refuse(text, plan.forms[of_kinds[kind]], form, kind)
            of_kinds[kind] = number
        of_types += [(kind, number) for kind in _types(form)]
    return plan.add("union", text, tuple(of_types), tuple(of_kinds.values()))


def _refuse(text, one, other, kind):
    raise Unfit(
        f"{one[1]} and {other[1]} of the annotation {text} are both {_NAMES[kind]} when they are stored, so that nobody could "
        "tell them apart: return a class with a field for each"
    )


def _members(plan, annotation, depth):
    """The parts of a union, and of those in it."""
    annotation = stripped(annotation)
    if depth > 20:
        raise Unfit(f"the annotation {text_of(annotation)} does not end")
    if is_name(annotation):
        yield from _members(plan, plan.meaning(annotation), depth + 1)
    elif typing.get_origin(annotation) in (Union, types.UnionType):
        for one in typing.get_args(annotation):
            yield from _members(plan, one, depth + 1)
    else:
        yield annotation


def _is_literal(annotation):
    return typing.get_origin(annotation) is Literal


def _kinds(form):
    if form[0] == "literal":
        of = {type(None): "nil", bool: "bool", int: "integer", str: "text", bytes: "bytes"}
        return sorted({of[type(plain)] for _, plain in form[2]})
    return _OF[form[0]]


def _narrowed(plan, number, numbers):
    """The form of a number that leaves others what is theirs."""
    form = plan.forms[number]
    others = {kind for other in numbers if other != number for kind in _kinds(plan.forms[other])}
    if form[0] == "int" and "bytes" in others:
        return plan.add("short int", form[1])
    if form[0] == "float" and "integer" in others:
        return plan.add("exact float", form[1])
    return number


def _types(form):
    """The types whose values have this form."""
    what = form[0]
    if what == "literal":
        return list({type(value) for value, _ in form[2]})
    if what in ("record", "enum", "flag"):
        return [form[2]]
    if what == "float":
        return [float, int]
    if known_class(what) is not None:
        return [known_class(what)]
    if what == "deque":
        return [form[3]]
    builtin = {
        "None": type(None), "bool": bool, "int": int, "short int": int, "exact float": float, "str": str, "bytes": bytes,
        "bytearray": bytearray, "complex": complex, "list": list, "tuple of": tuple, "tuple": tuple, "set": set,
        "frozenset": frozenset, "dict": dict, "typed dict": dict,
    }  # fmt: skip
    return [builtin[what]]
