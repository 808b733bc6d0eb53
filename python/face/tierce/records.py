"""Classes with fields, enums and typed dicts as forms: what a class says of its fields, whoever made it.

Only what was imported already is looked at: a class of a library that nobody imported cannot come.
"""

import sys
import typing
from typing import Any

from .forms import Unfit, hints_of_class, own_annotations, text_of, with_arguments

_NO, _VALUE, _MADE = range(3)
"""Whether a field has a default: none, a value, or a function that makes it."""


def class_form(plan, kind, arguments, text):
    """The number of the form of a class that is none of the plain ones."""
    enum = sys.modules.get("enum")
    if enum is not None and issubclass(kind, enum.Enum):
        return _enum(plan, kind, text, enum)
    for is_one, form in _FAMILIES:
        if is_one(kind):
            break
    else:
        raise Unfit(_refusal(kind, text))
    try:
        key = ("class", kind, arguments)
        hash(key)
    except TypeError:
        key = object()
    what = "typed dict" if form is _typed_dict else "record"
    return plan.record(key, (what, text, kind), lambda: form(plan, kind, arguments, text))


def _refusal(kind, text):
    if kind.__module__.split(".")[0] == "pydantic" or hasattr(kind, "__validators__") and hasattr(kind, "__fields__"):
        return f"{text} is a model of pydantic 1, or a type of pydantic's that has no form: use a BaseModel of pydantic 2"
    hint = "annotate a dataclass, or a type that docs/python.md names"
    if issubclass(kind, (list, dict, set, frozenset, tuple, str, bytes, int, float)):
        plain = next(base.__name__ for base in kind.__mro__ if base.__module__ == "builtins" and base is not kind)
        hint = f"return a plain {plain}, and annotate that"
    return f"values of the class {kind.__module__}.{text} have no form: {hint}"


def _enum(plan, kind, text, enum):
    if issubclass(kind, enum.Flag):
        mask = 0
        for member in kind.__members__.values():
            mask |= member.value
        if not 0 <= mask < 1 << 63:
            raise Unfit(f"the flags {text} have more than 63 bits")
        return plan.add("flag", text, kind, mask)
    return plan.add("enum", text, kind, dict(kind.__members__))


# --- one family of classes after the other --------------------------------------------------------


def _is_typed_dict(kind):
    return issubclass(kind, dict) and hasattr(kind, "__total__") and hasattr(kind, "__required_keys__")


def _typed_dict(plan, kind, arguments, text):
    hints = _hints(kind, arguments, own_annotations(kind))
    fields = tuple(_field(plan, text, name, hint) for name, hint in hints.items())
    required = tuple(_is_required(kind, name, hint) for name, hint in hints.items())
    return ("typed dict", text, fields, required, {name: place for place, name in enumerate(hints)})


def _is_required(kind, name, hint):
    while True:
        origin = typing.get_origin(hint)
        if origin is typing.Required or origin is typing.NotRequired:
            return origin is typing.Required
        word = getattr(origin, "__name__", getattr(origin, "_name", ""))
        if origin is not typing.Annotated and word != "ReadOnly":
            return name in kind.__required_keys__
        hint = typing.get_args(hint)[0]


def _is_named_tuple(kind):
    return issubclass(kind, tuple) and hasattr(kind, "_fields") and hasattr(kind, "_field_defaults")


def _named_tuple(plan, kind, arguments, text):
    hints, defaults = _hints(kind, arguments, kind._fields), kind._field_defaults
    fields = tuple(
        _field(plan, text, name, hints.get(name, Any), *((_VALUE, defaults[name]) if name in defaults else ()))
        for name in kind._fields
    )
    return _record(kind, text, "tuple", fields)


def _is_struct(kind):
    return hasattr(kind, "__struct_fields__") and hasattr(kind, "__struct_config__")


def _struct(plan, kind, arguments, text):
    hints, config = _hints(kind, arguments, kind.__struct_fields__), kind.__struct_config__
    defaults = {one.name: one for one in sys.modules["msgspec"].structs.fields(kind)}
    unset, fields = sys.modules["msgspec"].NODEFAULT, []
    for name, on_wire in zip(kind.__struct_fields__, kind.__struct_encode_fields__):
        default = (_NO, None)
        if defaults[name].default is not unset:
            default = (_VALUE, defaults[name].default)
        elif defaults[name].default_factory is not unset:
            default = (_MADE, defaults[name].default_factory)
        fields.append(_field(plan, text, name, hints[name], *default, on_wire=on_wire))
    tag = () if config.tag is None else (config.tag_field, config.tag)
    make = "call and set" if hasattr(kind, "__post_init__") else "call"
    return _record(kind, text, make, tuple(fields), tag=tag, slots=_slots_beside(kind, kind.__struct_fields__))


def _is_model(kind):
    pydantic = sys.modules.get("pydantic")
    base = getattr(pydantic, "BaseModel", None)
    return base is not None and hasattr(base, "model_fields") and issubclass(kind, base)


def _model(plan, kind, arguments, text):
    if not kind.__pydantic_complete__ and kind.model_rebuild(raise_errors=False) is False:
        raise Unfit(f"the model {text} is not defined fully: call its model_rebuild() above")
    fields = []
    for name, field in kind.model_fields.items():
        default = (_NO, None) if field.is_required() else (_MADE, _model_default(field))
        fields.append(_field(plan, text, name, field.annotation, *default))
    extra = -1
    if kind.model_config.get("extra") == "allow":
        extra = _part(plan, text, "__pydantic_extra__", _extra_hint(plan, kind))
    privates = _private_defaults(kind.__private_attributes__) if kind.__private_attributes__ else None
    return _record(kind, text, "model", tuple(fields), extra=extra, privates=privates)


def _extra_hint(plan, kind):
    """What the model says of values that are no fields: `__pydantic_extra__: dict[str, T]`."""
    for base in kind.__mro__[:-1]:
        hint = own_annotations(base).get("__pydantic_extra__")
        if base.__module__ == "pydantic.main":
            break
        if hint is not None:
            hint = plan.resolved(hint, sys.modules[base.__module__].__dict__)
            return (*typing.get_args(hint), Any, Any)[1]
    return Any


def _model_default(field):
    return lambda: field.get_default(call_default_factory=True)


def _private_defaults(attributes):
    """A function that adds what is missing of a model's private attributes."""
    undefined = sys.modules["pydantic_core"].PydanticUndefined

    def made_whole(found):
        from copy import deepcopy

        found = {} if found is None else found
        for name, attribute in attributes.items():
            if name not in found and attribute.default_factory is not None:
                found[name] = attribute.default_factory()
            elif name not in found and attribute.default is not undefined:
                found[name] = deepcopy(attribute.default)
        return found

    return made_whole


def _is_attrs(kind):
    return hasattr(kind, "__attrs_attrs__")


def _attrs(plan, kind, arguments, text):
    hints, fields = _hints(kind, arguments, [one.name for one in kind.__attrs_attrs__]), []
    for one in kind.__attrs_attrs__:
        default = (_NO, None)
        factory = getattr(one.default, "factory", None)
        if factory is not None:
            default = (_NO, None) if one.default.takes_self else (_MADE, factory)
        elif one.default is not sys.modules["attr"].NOTHING:
            default = (_VALUE, one.default)
        fields.append(_field(plan, text, one.name, hints.get(one.name, Any), *default))
    # What attrs keeps a hash in, where it is asked to.
    code = getattr(kind.__hash__, "__code__", None)
    hashed = code is not None and "_attrs_cached_hash" in code.co_names
    constants = (("_attrs_cached_hash", None),) if hashed else ()
    return _plain(kind, text, fields, constants, _attrs_computed(kind))


def _attrs_computed(kind):
    """Names of the slots in which attrs keeps what a cached_property has computed: its own __getattr__ is given them."""
    names = []
    for base in kind.__mro__:
        function = vars(base).get("__getattr__")
        code = getattr(function, "__code__", None)
        arguments = code.co_varnames[: code.co_argcount] if code is not None else ()
        given = dict(zip(reversed(arguments), reversed(getattr(function, "__defaults__", None) or ())))
        names += given.get("cached_properties", ())
    return names


def _is_dataclass(kind):
    return hasattr(kind, "__dataclass_fields__")


def _dataclass(plan, kind, arguments, text):
    import dataclasses

    hints, fields = _hints(kind, arguments, [one.name for one in dataclasses.fields(kind)]), []
    for one in dataclasses.fields(kind):
        default = (_NO, None)
        if one.default is not dataclasses.MISSING:
            default = (_VALUE, one.default)
        elif one.default_factory is not dataclasses.MISSING:
            default = (_MADE, one.default_factory)
        fields.append(_field(plan, text, one.name, hints[one.name], *default))
    return _plain(kind, text, fields)


def _plain(kind, text, fields, constants=(), computed=()):
    """A class whose instances are made past their __init__, and set by attribute."""
    if kind.__new__ is not object.__new__:
        raise Unfit(f"the class {text} has a __new__ of its own, past which no instance can be made: leave it out")
    names = [field[0] for field in fields] + [name for name, _ in constants] + [*computed]
    return _record(kind, text, "object", tuple(fields), slots=_slots_beside(kind, names), constants=constants)


_FAMILIES = [
    (_is_typed_dict, _typed_dict), (_is_named_tuple, _named_tuple), (_is_struct, _struct), (_is_model, _model),
    (_is_attrs, _attrs), (_is_dataclass, _dataclass),
]  # fmt: skip


# --- what they share ------------------------------------------------------------------------------


def _record(kind, text, make, fields, tag=(), slots=(), constants=(), extra=-1, privates=None):
    derived, has_dict = _derived(kind, constants), kind.__dictoffset__ != 0
    return ("record", text, kind, make, fields, tag, has_dict, derived, tuple(slots), tuple(constants), extra, privates)


def _field(plan, text, name, hint, has_default=_NO, default=None, on_wire=None):
    return (name, on_wire or name, _part(plan, text, name, hint), has_default, default)


def _part(plan, text, name, hint):
    try:
        return plan.form(hint)
    except Unfit as unfit:
        raise Unfit(f"{text}.{name}: {unfit}") from unfit.__cause__


def _derived(kind, constants):
    """Names that may stand in the __dict__ of an instance beside its fields: what is computed from them."""
    from functools import cached_property

    names = {name for base in kind.__mro__ for name, one in vars(base).items() if isinstance(one, cached_property)}
    # typing's, where the class was called as Class[int](…).
    return frozenset(names | {name for name, _ in constants} | {"__orig_class__"})


def _slots_beside(kind, names):
    """The descriptors of slots that are no fields."""
    found = []
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            descriptor = vars(base).get(_mangled(base, name))
            if name not in names and name not in ("__dict__", "__weakref__") and hasattr(descriptor, "__get__"):
                found.append(descriptor)
    return found


def _mangled(kind, name):
    is_private = name.startswith("__") and not name.endswith("__")
    return f"_{kind.__name__.lstrip('_')}{name}" if is_private else name


def _hints(kind, arguments, names):
    """The annotations of a class's fields, with its variables replaced by its arguments."""
    hints, given = hints_of_class(kind, names), _variables(kind, arguments)
    # Of a typed dict the bases are not seen.
    of_bases = {variable: one for variables in reversed(given.values()) for variable, one in variables.items()}
    found = {}
    for name, hint in hints.items():
        owner = next((base for base in kind.__mro__ if name in own_annotations(base)), kind)
        found[name] = with_arguments(hint, {**of_bases, **given.get(owner, {})})
    return found


def _variables(kind, arguments):
    """For each class of the bases: what its variables are."""
    found = {}

    def walk(kind, arguments):
        parameters = getattr(kind, "__parameters__", ())
        found[kind] = dict(zip(parameters, arguments)) if arguments else {}
        for base in getattr(kind, "__orig_bases__", ()):
            origin = typing.get_origin(base)
            if isinstance(origin, type) and origin is not typing.Generic:
                walk(origin, tuple(with_arguments(one, found[kind]) for one in typing.get_args(base)))

    walk(kind, arguments)
    return found
