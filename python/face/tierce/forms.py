"""A return annotation as a plan: one form for each place in a value, for the glue to pack and unpack by.

A form is a tuple `(what, text, …)`, with the numbers of other forms where it has
parts; so that a class may contain itself.
"""

import builtins
import collections
import sys
import types
import typing
from importlib import import_module
from typing import Annotated, Any, ClassVar, Final, ForwardRef, Literal, NewType, NotRequired, Required, TypeVar, Union

_PLAIN = (bool, int, float, str, bytes, bytearray, complex)

_MANY = {list: "list", set: "set", frozenset: "frozenset", collections.deque: "deque"}

_ABSTRACT = {
    **dict.fromkeys(["Sequence", "MutableSequence", "Collection", "Iterable"], list),
    **dict.fromkeys(["Mapping", "MutableMapping"], dict),
    **dict.fromkeys(["Set", "MutableSet"], set),
}
"""What an abstract annotation stands for: the plainest type that is one."""

_KNOWN = {
    **dict.fromkeys(["datetime", "date", "time", "timedelta"], ("datetime", "_datetime")),
    "Decimal": ("decimal", "decimal"),
    "UUID": ("uuid", "uuid"),
}
"""Classes by their names: the module that they name, and the one that has them. Tests that hold the time (freezegun) put others
into datetime."""

_QUALIFIERS: tuple[object, ...] = (Annotated, Final, ClassVar, Required, NotRequired)

_DEEPEST = 100
"""Annotations that nest deeper do not end: a generic class that holds one of a wider argument, for example."""


class Unfit(Exception):
    """An annotation whose values would not come back as they are."""


class Plan:
    def __init__(self, namespace, type_params=()):
        self.forms = []
        self.namespace = namespace
        self._type_params = type_params
        self._known = {}
        self._same = {}
        self._depth = 0

    def finished(self):
        """The forms, with those that are only another name for one replaced by it."""
        for at, other in self._same.items():
            seen = {at}
            while other in self._same:
                if other in seen:
                    raise Unfit("the annotation is a name that only stands for itself")
                seen.add(other)
                other = self._same[other]
            self.forms[at] = self.forms[other]
        return tuple(self.forms)

    def add(self, *form):
        self.forms.append(form)
        return len(self.forms) - 1

    def form(self, annotation):
        """The number of the form of an annotation."""
        if self._depth == _DEEPEST:
            raise Unfit(f"the annotation {text_of(annotation)} does not end")
        self._depth += 1
        try:
            if not is_name(annotation):
                return self._form(stripped(annotation))
            key = _key(annotation)
            if key not in self._known:
                # It may be met again inside of what it stands for.
                at = self._known[key] = self.add("a name", text_of(annotation))
                self._same[at] = self.form(self.meaning(annotation))
            return self._known[key]
        finally:
            self._depth -= 1

    def meaning(self, annotation):
        """What a name stands for: an alias, or a text."""
        if isinstance(annotation, (str, ForwardRef)):
            return self.resolved(annotation)
        origin = typing.get_origin(annotation)
        if origin is None:
            return annotation.__value__
        return with_arguments(origin.__value__, dict(zip(origin.__type_params__, typing.get_args(annotation))))

    def resolved(self, annotation, namespace=None):
        """An annotation with the names in it looked up."""
        if isinstance(annotation, ForwardRef):
            annotation = annotation.__forward_arg__
        told = types.SimpleNamespace(__annotations__={"it": annotation}, __type_params__=self._type_params)
        return _hints(told, self.namespace if namespace is None else namespace)["it"]

    def record(self, key, placeholder, make):
        """The number of the form of a class, which may be met again inside of its own fields."""
        if key not in self._known:
            at = self._known[key] = self.add(*placeholder)
            self.forms[at] = make()
        return self._known[key]

    def _form(self, annotation):
        if annotation is Any or annotation is object or isinstance(annotation, TypeVar):
            return self.add("bare", "Any")
        if annotation is None or annotation is type(None):
            return self.add("None", "None")
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is Literal:
            from .unions import literal

            return literal(self, arguments)
        if origin is Union or origin is types.UnionType:
            from .unions import union

            return union(self, annotation)
        kind = annotation if origin is None else origin
        if not isinstance(kind, type):
            raise Unfit(f"the annotation {text_of(annotation)} says nothing of what a value is: annotate its type, or Any")
        return self._of_class(kind, arguments, annotation)

    def _of_class(self, kind, arguments, annotation):
        text = text_of(annotation)
        if kind.__module__ == "collections.abc" and kind.__name__ in _ABSTRACT:
            kind = _ABSTRACT[kind.__name__]
        if kind in _PLAIN:
            return self.add(kind.__name__, text)
        if kind is tuple:
            return self._tuple(arguments, annotation, text)
        if kind is dict:
            of_key, of_value = arguments or (Any, Any)
            return self.add("dict", text, self._hashable(of_key, text), self.form(of_value))
        if kind in _MANY:
            (item,) = arguments or (Any,)
            number = self._hashable(item, text) if kind in (set, frozenset) else self.form(item)
            return self.add(_MANY[kind], text, number, kind)
        if _KNOWN.get(kind.__name__, ("",))[0] == kind.__module__ and known_class(kind.__name__) is kind:
            return self.add(kind.__name__, text)
        from .records import class_form

        return class_form(self, kind, arguments, text)

    def _tuple(self, arguments, annotation, text):
        if annotation is tuple or annotation is typing.Tuple:
            return self.add("tuple of", text, self.form(Any))
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return self.add("tuple of", text, self.form(arguments[0]))
        if any(is_unpacked(one) for one in arguments):
            raise Unfit(f"{text} has a part of any length: annotate tuple[T, ...]")
        return self.add("tuple", text, tuple(self.form(one) for one in arguments))

    def _hashable(self, annotation, text):
        number = self.form(annotation)
        form = self.forms[number]
        cannot = form[0] in ("list", "set", "dict", "typed dict", "bytearray", "deque")
        if cannot or form[0] == "record" and form[2].__hash__ is None:
            raise Unfit(f"{text} has no values: a {form[1]} is not hashable")
        return number


def known_class(name):
    """A class of the standard library that has a form of its own; None for other names."""
    return getattr(import_module(_KNOWN[name][1]), name) if name in _KNOWN else None


def text_of(annotation):
    """An annotation as a person writes it."""
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return annotation.__qualname__
    return repr(annotation).replace("typing.", "")


def is_name(annotation):
    """Whether it is only a name for another annotation."""
    return isinstance(annotation, (str, ForwardRef)) or _is_alias(annotation) or _is_alias(typing.get_origin(annotation))


def _is_alias(annotation):
    # Of typing from 3.12 on, or of typing_extensions.
    return type(annotation).__name__ == "TypeAliasType" and hasattr(type(annotation), "__value__")


def is_unpacked(annotation):
    return getattr(annotation, "__unpacked__", False) or "Unpack" in repr(typing.get_origin(annotation))


def stripped(annotation):
    """An annotation without what says nothing of the value: Annotated, Final, NewType."""
    while True:
        if isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif annotation is Final:
            return Any
        elif _is_qualified(annotation):
            annotation = typing.get_args(annotation)[0]
        elif annotation is getattr(typing, "LiteralString", None):
            return str
        else:
            return annotation


def _is_qualified(annotation):
    origin = typing.get_origin(annotation)
    return origin in _QUALIFIERS or getattr(origin, "__name__", getattr(origin, "_name", "")) == "ReadOnly"


def with_arguments(annotation, arguments):
    """An annotation with its variables replaced; of one that has no argument nothing is known."""
    if isinstance(annotation, TypeVar):
        return arguments.get(annotation, Any)
    parameters = () if isinstance(annotation, type) and typing.get_origin(annotation) is None else _parameters(annotation)
    if not parameters:
        return annotation
    return annotation[tuple(arguments.get(one, Any) for one in parameters)]


def _parameters(annotation):
    return getattr(annotation, "__parameters__", ())


def _hints(of, namespace, local=None):
    try:
        return typing.get_type_hints(of, namespace, local, include_extras=True)
    except NameError as error:
        raise Unfit(
            f"the annotation names {error.name!r}, which is not there: define it above, outside of functions, and import it "
            "outside of `if TYPE_CHECKING`"
        ) from error
    except Exception as error:
        # What stands in an annotation is an expression, and may raise anything.
        raise Unfit(f"an annotation is none: {type(error).__name__}: {error}") from error


def hints_of_class(kind, names):
    """The annotations of these fields of a class, with the names in them looked up. Others may name what is not there."""
    found = {}
    for owner in reversed(kind.__mro__):
        own = {name: hint for name, hint in own_annotations(owner).items() if name in names}
        if own:
            told = {"__annotations__": own, "__type_params__": getattr(owner, "__type_params__", ())}
            # As get_type_hints of a class: the module's names go before the class's own, which may be defaults.
            module = getattr(sys.modules.get(owner.__module__), "__dict__", {})
            local = {**vars(builtins), **module, owner.__name__: owner, kind.__name__: kind}
            found |= _hints(type(kind.__name__, (), told), dict(vars(owner)), local)
    return found


def own_annotations(kind):
    """What a class itself annotates, without its bases."""
    return getattr(kind, "__annotations__", {}) if kind is not object else {}


def _key(annotation):
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    try:
        hash(annotation)
    except TypeError:
        return id(annotation)
    return annotation
