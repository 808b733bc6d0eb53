"""memo around plain functions, as a user sees it."""

import contextvars
import copy
import functools
import gc
import inspect
import pickle
import sys
import threading
import traceback
import weakref
from datetime import timedelta

import pytest
from grudge import Grudge
from held_time import held_time
from interrupting import interrupted
from waiting import LONGEST_S, until

import tierce
from tierce import BoundMemo, CycleError, memo


class Counted:
    """A source that counts what it is asked for."""

    def __init__(self):
        self.calls = []

    def __call__(self, *args):
        self.calls.append(args)
        return args


def counted(**settings):
    calls = []

    @memo(**settings)
    def source(x, y=2, *, z=3):
        calls.append((x, y, z))
        return [x, y, z]

    return source, calls


def test_a_result_is_kept_and_counted():
    source, calls = counted(maxsize=10)
    assert source(1) == [1, 2, 3]
    assert source(1) is source(1)
    assert calls == [(1, 2, 3)]
    assert source.cache_info() == (2, 1, 10, 1)


def test_bare_and_with_settings():
    @memo
    def one(x):
        return x

    assert one(5) == 5 and one.cache_info().currsize == 1
    assert memo(maxsize=1)(lambda: 3)() == 3


@pytest.mark.parametrize(
    "args, kwargs",
    [((1,), {}), ((1, 2), {}), ((), {"x": 1}), ((1,), {"z": 3}), ((), {"z": 3, "y": 2, "x": 1}), ((1,), {"y": 2})],
)
def test_a_call_is_one_key_however_it_is_written(args, kwargs):
    source, calls = counted()
    source(1)
    source(*args, **kwargs)
    assert len(calls) == 1
    assert source.key(1) == source.key(*args, **kwargs)
    assert hash(source.key(1)) == hash(source.key(*args, **kwargs))
    assert source.invalidate(*args, **kwargs)
    assert source.peek(1) is None


def test_names_computed_at_run_time_are_the_same_names():
    source, calls = counted()
    source(1, y=7)
    source(1, **{"".join(["", "y"]): 7})
    assert len(calls) == 1


def test_extra_arguments_are_told_apart():
    calls = []

    @memo
    def source(x, /, *more, k=0, **named):
        calls.append((x, more, k, named))
        return len(calls)

    different = [
        source(1), source(1, 2), source(1, 2, 3), source(1, k=1), source(1, a=1), source(1, a=2), source(1, b=1),
        source(1, x=5), source(1, "a", 1), source(1, 0),
    ]  # fmt: skip
    assert different == list(range(1, 11))
    assert source(1, a=1, b=2) == source(1, b=2, a=1)
    assert source(1, k=0) == 1


def test_types_are_told_apart_unless_said_otherwise():
    source, calls = counted()
    for x in (1, 1.0, True):
        source(x)
    assert len(calls) == 3
    loose, calls = counted(typed=False)
    loose(1, 2.0), loose(1, 2)
    assert len(calls) == 1


@pytest.mark.parametrize("decorate", [functools.lru_cache, memo(typed=False)])
def test_an_only_argument_that_is_an_int_or_a_str_is_apart_from_what_equals_it(decorate):
    """As functools has it, which the documentation says."""
    source = decorate(lambda x: x)
    assert [type(source(x)) for x in (3, 3.0, 1, True, 1.0)] == [int, float, int, bool, bool]
    several = decorate(lambda x, y: x)
    assert [type(several(x, 0)) for x in (3, 3.0, 1, True, 1.0)] == [int] * 5


def test_what_does_not_fit_the_parameters_is_the_functions_own_error():
    source, calls = counted()
    for wrong in (lambda: source(), lambda: source(1, q=1), lambda: source(1, 2, 3), lambda: source(1, x=2)):
        with pytest.raises(TypeError, match="source"):
            wrong()
    assert calls == [] and source.cache_info().misses == 0
    with pytest.raises(TypeError, match="do not fit"):
        source.invalidate()


def test_unhashable_arguments_are_refused():
    source, _ = counted()
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        source([])


def test_an_unhashable_default_is_no_hindrance():
    @memo
    def source(x, options=[]):  # noqa: B006
        return x

    assert source(1) == 1 and source(1) == 1
    assert source.cache_info().hits == 1


@pytest.mark.parametrize("value", [None, 0, "", False, [], {}])
def test_falsy_values_are_values(value):
    calls = []

    @memo
    def source(x):
        calls.append(x)
        return value

    assert source(1) == value and source(1) == value
    assert calls == [1]


def test_exceptions_are_not_kept():
    calls = []

    @memo
    def source(x):
        calls.append(x)
        raise LookupError(x)

    for _ in range(3):
        with pytest.raises(LookupError):
            source(1)
    assert len(calls) == 3 and source.cache_info().currsize == 0


@pytest.mark.parametrize("ttl", ["1m", "60s", 60, 60.0, timedelta(minutes=1), "60000ms"])
def test_a_value_is_fresh_for_its_ttl(ttl):
    with held_time() as clock:
        source, calls = counted(ttl=ttl, jitter=0)
        source(1)
        clock.advance(59.999)
        source(1)
        assert len(calls) == 1 and source.peek(1) == [1, 2, 3]
        clock.advance(0.001)
        assert source.peek(1) is None
        source(1)
        assert len(calls) == 2


def test_chance_takes_at_most_the_jitter_off_a_ttl():
    with held_time() as clock:
        source, calls = counted(ttl=100, jitter=0.5, maxsize=None)
        for x in range(200):
            source(x)
        clock.advance(49.9)
        assert all(source.peek(x) for x in range(200))
        clock.advance(25)
        left = sum(source.peek(x) is not None for x in range(200))
        assert 50 < left < 150
        clock.advance(25.2)
        assert not any(source.peek(x) for x in range(200))


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"ttl": 0}, ValueError), ({"ttl": -1}, ValueError), ({"ttl": "5 parsecs"}, ValueError),
        ({"ttl": "30m1h"}, ValueError), ({"ttl": ""}, ValueError), ({"ttl": "0s"}, ValueError),
        ({"ttl": True}, TypeError), ({"ttl": []}, TypeError), ({"stale": "1m"}, TypeError),
        ({"maxsize": -1}, TypeError), ({"maxsize": "many"}, TypeError), ({"weigher": len}, TypeError),
        ({"jitter": 2}, ValueError), ({"copy": True, "freeze": True}, TypeError),
        ({"jitter": "0.1"}, TypeError), ({"jitter": None}, TypeError), ({"jitter": True}, TypeError),
        ({"jitter": float("nan")}, ValueError), ({"copy": 5}, TypeError), ({"copy": "yes"}, TypeError),
        ({"freeze": 5}, TypeError), ({"weight": 5, "weigher": 5}, TypeError), ({"ttl": "999999999999999d"}, ValueError),
        ({"ttl": 1, "stale": "999999999999999d"}, ValueError), ({"maxsize": 2**64}, ValueError),
        ({"weight": 2**64}, ValueError),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_meant_are_refused_when_they_are_given(settings, error):
    """By a sentence that begins with the setting."""
    with pytest.raises(error, match="^(stale is|weigher says|copy and|%s=)" % list(settings)[-1]):
        memo(**settings)


def test_a_setting_without_its_name_is_told_its_name():
    with pytest.raises(TypeError, match=r"memo\(maxsize=128\)"):
        memo(128)


def test_a_weight_beyond_what_can_be_counted_is_too_heavy():
    source = memo(weight=2**63 - 2, weigher=lambda value: value)(lambda value: value)
    for weight in (2**63, 2**64, 2**70):
        assert source(weight) == weight and source.cache_info().currsize == 0
    assert source(5) == 5 and source.cache_info().currsize == 1


@pytest.mark.parametrize("verb", ["invalidate", "refresh", "peek", "key"])
def test_a_verb_with_arguments_that_do_not_fit_names_the_function(verb):
    source, _ = counted()
    for wrong, says in (((), "missing .*'x'"), ((1, 2, 3), "too many")):
        with pytest.raises(TypeError, match=rf"do not fit .*source: {says}"):
            getattr(source, verb)(*wrong)
    with pytest.raises(TypeError, match="do not fit Person.greeting: missing .*'word'"):
        getattr(Person("Ann").greeting, verb)()
    with pytest.raises(TypeError, match="unhashable"):
        getattr(source, verb)([])


def test_a_stale_value_is_served_while_one_thread_reloads_behind():
    with held_time() as clock:
        began, go = threading.Event(), threading.Event()
        calls = []

        @memo(ttl=10, stale=5, jitter=0)
        def source(x):
            calls.append(x)
            if len(calls) == 2:
                began.set()
                assert go.wait(30)
            return len(calls)

        assert source(1) == 1
        clock.advance(12)
        assert [source(1) for _ in range(50)] == [1] * 50
        assert began.wait(30)
        assert len(calls) == 2
        go.set()
        until(lambda: source.peek(1) == 2)
        assert source(1) == 2 and len(calls) == 2
        clock.advance(15)
        assert source(1) == 3, "what is past its stale time is not served"


def test_a_refresh_that_fails_leaves_the_stale_value(caplog):
    with held_time() as clock:
        fail = False

        @memo(ttl=10, stale=50, jitter=0)
        def source(x):
            if fail:
                raise OSError("down")
            return "old"

        source(1)
        fail = True
        clock.advance(11)
        assert source(1) == "old"
        until(lambda: "a refresh of" in caplog.text)
        assert source(1) == "old"


def test_the_least_recently_used_go_first():
    source, calls = counted(maxsize=3)
    for x in (1, 2, 3, 1, 4):
        source(x)
    assert source.peek(2) is None and source.peek(1) is not None
    assert source.cache_info().currsize == 3


def test_nothing_is_kept_where_there_is_no_room():
    source, calls = counted(maxsize=0)
    source(1), source(1)
    assert len(calls) == 2 and source.cache_info().currsize == 0


def test_weights_bound_what_is_kept():
    calls = []

    @memo(maxsize=None, weight=10, weigher=len)
    def source(x):
        calls.append(x)
        return "a" * x

    source(4), source(5)
    assert source.cache_info().currsize == 2
    source(6)
    assert source.peek(4) is None and source.peek(6) == "aaaaaa"
    source(11), source(11)
    assert calls.count(11) == 2, "what weighs more than all may is not kept"
    with pytest.raises(TypeError, match="the weigher gave"):
        memo(weight=1, weigher=lambda value: "heavy")(lambda: 1)()


def test_expired_entries_do_not_pile_up():
    with held_time() as clock:
        source, _ = counted(ttl=1, maxsize=None, jitter=0)
        for x in range(1000):
            source(x)
            clock.advance(0.01)
        assert source.cache_info().currsize < 300


def test_invalidate_refresh_set_and_clear():
    source, calls = counted()
    assert not source.invalidate(1)
    source(1)
    assert source.invalidate(1) and not source.invalidate(1)
    source(1)
    assert len(calls) == 2
    assert source.refresh(1) == [1, 2, 3] and len(calls) == 3
    source.set("told", 1)
    assert source(1) == "told" and len(calls) == 3
    source.cache_clear()
    assert source.cache_info() == (0, 0, 10_000, 0)


def in_threads(count, what):
    results = [None] * count
    errors = []

    def run(at):
        try:
            results[at] = what()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(at,), daemon=True) for at in range(count)]
    for thread in threads:
        thread.start()
    return threads, results, errors


def joined(threads):
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def waiting(source, count):
    until(lambda: source._counts()[3] >= count)


def blocked(**settings):
    """A function whose loads wait until they are let go."""
    began, go, calls = threading.Event(), threading.Event(), []

    @memo(**settings)
    def source(x):
        calls.append(x)
        number = len(calls)
        began.set()
        assert go.wait(60)
        if x == "bad":
            raise LookupError(x)
        return number

    return source, calls, began, go


def test_many_threads_share_one_load():
    source, calls, _, go = blocked()
    threads, results, errors = in_threads(16, lambda: source(1))
    waiting(source, 15)
    go.set()
    joined(threads)
    assert errors == [] and results == [1] * 16 and calls == [1]
    assert source._counts()[-1] == 0, "no flight is left"


def test_a_failed_load_is_one_call_for_all_who_waited():
    source, calls, _, go = blocked()
    threads, _, errors = in_threads(8, lambda: source("bad"))
    waiting(source, 7)
    go.set()
    joined(threads)
    assert len(errors) == 8 and all(isinstance(error, LookupError) for error in errors)
    assert len(calls) == 1
    assert source._counts()[-1] == 0


def test_what_was_invalidated_while_it_was_loaded_is_not_kept():
    source, calls, began, go = blocked()
    before, results, _ = in_threads(1, lambda: source(1))
    assert began.wait(60)
    source.invalidate(1)
    began.clear()
    after, later, _ = in_threads(1, lambda: source(1))
    assert began.wait(60), "whoever comes later begins a load of his own"
    go.set()
    joined(before + after)
    assert results == [1] and later == [2] and source.peek(1) == 2


@pytest.mark.parametrize("verb", ["set", "cache_clear", "refresh"])
def test_a_load_that_was_overtaken_is_not_kept(verb):
    source, calls, began, go = blocked()
    threads, _, _ = in_threads(1, lambda: source(1))
    assert began.wait(60)
    if verb == "set":
        source.set("told", 1)
    elif verb == "cache_clear":
        source.cache_clear()
    else:
        others, refreshed, _ = in_threads(1, lambda: source.refresh(1))
        until(lambda: len(calls) == 2)
        threads += others
    go.set()
    joined(threads)
    assert source.peek(1) == {"set": "told", "cache_clear": None, "refresh": 2}[verb]


def test_a_thread_that_is_told_to_end_tells_nobody_else():
    began, go, calls = threading.Event(), threading.Event(), []

    @memo
    def source(x):
        calls.append(x)
        if len(calls) == 1:
            began.set()
            assert go.wait(60)
            raise SystemExit
        return "second"

    first, _, ended = in_threads(1, lambda: source(1))
    assert began.wait(60)
    others, results, errors = in_threads(3, lambda: source(1))
    waiting(source, 3)
    go.set()
    joined(first + others)
    assert isinstance(ended[0], SystemExit)
    assert errors == [] and results == ["second"] * 3 and len(calls) == 2


def test_recursion_on_other_keys_works():
    @memo
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    assert fib(80) == 23416728348467685


def test_recursion_on_the_same_key_is_an_error():
    @memo
    def source(x):
        return source(x)

    with pytest.raises(CycleError, match="source waits for itself"):
        source(1)
    assert source._counts()[-1] == 0


def test_a_thread_that_a_load_began_joins_it_if_it_does_not_have_its_context():
    """Whether a load waits for a thread that it began cannot be told: that is an error, which says what to do."""
    begun = {}

    @memo
    def with_context(x):
        copied = contextvars.copy_context()
        begun[x] = in_threads(1, lambda: copied.run(with_context, x))
        joined(begun[x][0])
        return x

    @memo
    def without_context(x):
        begun[x] = in_threads(1, lambda: contextvars.Context().run(without_context, x))
        waiting(without_context, 1)
        return x

    assert with_context("with") == "with" and without_context("without") == "without"
    joined(begun["without"][0])
    assert begun["without"][1:] == (["without"], [])
    [error] = begun["with"][2]
    assert isinstance(error, CycleError) and "with_context" in str(error) and "contextvars.Context()" in str(error)


def test_two_loads_that_wait_for_each_other_are_an_error():
    both = threading.Barrier(2)

    @memo
    def one(x):
        both.wait(60)
        return other(x)

    @memo
    def other(x):
        both.wait(60)
        return one(x)

    first, _, errors = in_threads(1, lambda: one(1))
    second, _, more = in_threads(1, lambda: other(1))
    joined(first + second)
    assert any(isinstance(error, CycleError) for error in errors + more)


def test_context_variables_reach_the_loader():
    variable = contextvars.ContextVar("variable", default="unset")

    @memo
    def source():
        return variable.get()

    context = contextvars.copy_context()
    context.run(variable.set, "told")
    assert context.run(source) == "told"


class Person:
    loads = 0

    def __init__(self, name):
        self.name = name

    @memo(per_instance=True, maxsize=2)
    def greeting(self, word, mark="!"):
        """Greets."""
        type(self).loads += 1
        return f"{word} {self.name}{mark}"

    @memo
    def shared(self, word):
        return f"{word} {self.name}"


def test_each_instance_has_results_of_its_own():
    ann, bob = Person("Ann"), Person("Bob")
    assert ann.greeting("hi") == "hi Ann!" and bob.greeting("hi") == "hi Bob!"
    ann.greeting("hi"), ann.greeting("ho"), ann.greeting(word="hi"), ann.greeting("hi", "!")
    assert ann.greeting.cache_info() == (3, 2, 2, 2) and bob.greeting.cache_info() == (0, 1, 2, 1)
    assert ann.greeting.invalidate("hi") and bob.greeting.peek("hi") == "hi Bob!"
    assert ann.greeting.peek("hi") is None
    bob.greeting.set("told", "hi")
    assert bob.greeting("hi") == "told" and Person.greeting.peek(bob, "hi") == "told"
    assert bob.greeting.refresh("hi") == "hi Bob!"
    assert Person.greeting(bob, "hi") == "hi Bob!"
    ann.greeting.cache_clear()
    assert ann.greeting.cache_info().currsize == 0 and bob.greeting.cache_info().currsize == 1
    assert Person.greeting.cache_info().currsize == 1


def test_an_instance_is_not_kept_alive_by_its_results():
    ann = Person("Ann")
    ann.greeting("hi")
    size = len(Person.greeting._instances())
    reference = weakref.ref(ann)
    del ann
    assert reference() is None
    assert len(Person.greeting._instances()) == size - 1


def test_ten_thousand_instances_in_turn_never_see_each_others_results():
    for number in range(10_000):
        assert Person(number).greeting("hi") == f"hi {number}!"


def test_instances_that_cannot_be_referred_to_weakly_are_refused():
    class Slotted:
        __slots__ = ("name",)

        @memo(per_instance=True)
        def method(self):
            return 1

    with pytest.raises(TypeError, match="Slotted.method .*add '__weakref__' to .*Slotted.__slots__"):
        Slotted().method()


@pytest.mark.parametrize("receiver", [None, 5, "text", (1,), type("Pair", (tuple,), {"__slots__": ()})()])
def test_what_is_no_instance_is_refused(receiver):
    name = type(receiver).__name__
    with pytest.raises(TypeError, match=f"Person.greeting with per_instance=True .*{name}.* cannot be referred to weakly") as raised:
        Person.greeting(receiver, "hi")
    assert "__slots__" not in str(raised.value)
    with pytest.raises(TypeError, match="Person.greeting: the instance is missing"):
        Person.greeting.key()


def test_a_plain_memo_of_a_method_has_self_in_its_keys():
    ann, bob = Person("Ann"), Person("Bob")
    assert ann.shared("hi") == "hi Ann" and bob.shared("hi") == "hi Bob"
    assert ann.shared.invalidate("hi") and bob.shared.peek("hi") == "hi Bob"
    assert ann.shared == ann.shared and ann.shared != bob.shared


def test_values_are_copied_or_frozen_if_said():
    copied, _ = counted(copy=True)
    copied(1).append("edited")
    assert copied(1) == [1, 2, 3] and copied(1) is not copied(1)
    assert copied.peek(1) == [1, 2, 3] and copied.refresh(1) == [1, 2, 3]
    frozen, _ = counted(freeze=True)
    assert frozen(1) == (1, 2, 3) and frozen(1) is frozen(1)
    nested = memo(freeze=True)(lambda: {"roles": ["admin"], "ids": {1}})
    assert nested()["roles"] == ("admin",) and nested()["ids"] == frozenset({1})
    with pytest.raises(TypeError):
        nested()["roles"] = []
    shallow = memo(copy=list)(lambda: [1])
    assert shallow() is not shallow()


def test_a_memo_looks_like_its_function():
    source, _ = counted()
    assert source.__name__ == "source" and list(inspect.signature(source).parameters) == ["x", "y", "z"]
    assert source.__wrapped__(1) == [1, 2, 3]
    assert copy.copy(source) is source and copy.deepcopy(source) is source
    assert pickle.loads(pickle.dumps(kept)) is kept
    assert Person.greeting.__doc__ == "Greets." and Person.greeting.__module__ == __name__
    bound = Person("a").greeting
    assert (bound.__name__, bound.__qualname__) == ("greeting", "Person.greeting")
    assert (bound.__doc__, bound.__module__) == ("Greets.", __name__)
    assert Person("a").shared.__doc__ is None, "the function has none"
    assert BoundMemo.__module__ == "tierce.bound" and BoundMemo.__doc__.startswith("A method")
    assert all(pickle.loads(pickle.dumps(BoundMemo, version)) is BoundMemo for version in range(6))
    assert source.cache_parameters()["maxsize"] == 10_000


@memo
def kept(x):
    return x


def test_what_cannot_be_kept_is_refused_when_it_is_decorated():
    def generator():
        yield 1

    for wrong in (generator, 5, staticmethod(generator)):
        with pytest.raises(TypeError):
            memo(wrong)


def test_a_memo_in_a_cycle_is_collected():
    def make():
        @memo
        def source(x):
            return source

        source(1)
        source("text", )
        return weakref.ref(source)

    reference = make()
    gc.collect()
    assert reference() is None


def test_importing_is_quick_and_brings_nobody_along():
    import subprocess

    code = (
        "import sys; before = set(sys.modules); import tierce;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "assert not new & {'asyncio', 'inspect', 'typing', 'logging'}, new;"
        "assert all(name in sys.stdlib_module_names or name == 'tierce' for name in new), new"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert tierce.__version__


def test_a_refresh_that_is_queued_is_waited_for_by_the_thread_that_asked_for_it():
    with held_time() as clock:
        go, refreshing = threading.Event(), []

        @memo(ttl=10, stale=5, jitter=0)
        def source(x):
            if threading.current_thread().name.startswith("tierce-refresh"):
                refreshing.append(x)
                assert go.wait(60)
            return len(refreshing)

        for x in range(5):
            source(x)
        clock.advance(12)
        for x in range(4):
            source(x)
        until(lambda: len(refreshing) == 4)
        source(4)
        clock.advance(10)
        threading.Timer(0.05, go.set).start()
        assert source(4) >= 4, "it is queued behind the others, and does not wait for itself"


def test_a_stale_value_is_served_where_no_refresh_can_begin(monkeypatch, caplog):
    from tierce import flight

    with held_time() as clock:
        source, calls = counted(ttl=10, stale=5, jitter=0)
        source(1)
        clock.advance(12)

        class Refusing:
            def submit(self, *_):
                raise RuntimeError("cannot schedule new futures after shutdown")

        monkeypatch.setattr(flight, "_workers", Refusing())
        assert source(1) == [1, 2, 3] and "a refresh of" in caplog.text
        assert source._counts()[-1] == 0
        clock.advance(5)
        assert source(1) == [1, 2, 3] and len(calls) == 2


def test_a_load_whose_key_cannot_be_compared_at_its_end_leaves_nothing_behind():
    Grudge.raises = False

    done, other = [], Grudge(1)
    began, go = threading.Event(), threading.Event()

    @memo
    def slow(x):
        if x.number == 1:
            began.set()
            assert go.wait(60)
        elif not done:
            Grudge.raises = True
            raise LookupError
        return x.number

    threads, _, _ = in_threads(1, lambda: slow(other))
    assert began.wait(60)
    try:
        with pytest.raises(LookupError):
            slow(Grudge(2))
    finally:
        Grudge.raises = False
    done.append(1)
    assert slow(Grudge(2)) == 2, "the older failure is not raised for ever"
    go.set()
    joined(threads)
    assert slow._counts()[-1] == 0


def test_refreshes_that_need_one_queued_behind_them_run_it_themselves():
    """As many refreshes as the pool has threads, each of which asks for what waits in the pool's queue."""
    with held_time() as clock:
        go, nested, loads = threading.Event(), threading.Event(), []

        @memo(ttl=10, stale=1000, jitter=0)
        def outer(x):
            if nested.is_set():
                loads.append(("outer", x))
                assert go.wait(LONGEST_S)
                inner(x)
            return x

        @memo(ttl=10, stale=5, jitter=0)
        def inner(x):
            loads.append(("inner", x))
            return x

        for x in range(8):
            outer(x), inner(x)
        nested.set()
        clock.advance(11)
        for x in range(4):
            outer(x)
        until(lambda: sum(what == "outer" for what, _ in loads) == 4)
        for x in range(4):
            inner(x)  # stale: its refresh is queued
        clock.advance(10)  # and now it is gone: who asks waits for that refresh
        del loads[:]
        go.set()
        until(lambda: sorted(loads) == [("inner", x) for x in range(4)])
        until(lambda: all(outer.peek(x) == x for x in range(4)))


def test_an_interruption_of_who_runs_a_queued_refresh_stops_nobody_else():
    def run(at):
        go, busy = threading.Event(), []
        with held_time() as clock:

            @memo(ttl=10, stale=1000, jitter=0)
            def slow(x):
                if threading.current_thread().name.startswith("tierce-refresh"):
                    busy.append(x)
                    assert go.wait(LONGEST_S)
                return x

            wanted = memo(ttl=10, stale=5, jitter=0)(lambda x: x)
            for x in range(4):
                slow(x)
            wanted(1)
            clock.advance(11)
            for x in range(4):
                slow(x)
            until(lambda: len(busy) == 4)
            wanted(1)  # its refresh is queued
            clock.advance(10)
            try:
                with at:
                    assert wanted(1) == 1
            finally:
                got = []
                other = threading.Thread(target=lambda: got.append(wanted(1)), daemon=True)
                other.start()
                other.join(LONGEST_S)
                go.set()
                assert got == [1]

    assert len(list(interrupted(run))) > 5


def test_a_failure_that_many_share_keeps_its_traceback():
    begun, release = threading.Event(), threading.Event()
    failed = []

    @memo
    def fails(x):
        begun.set()
        release.wait(20)
        raise LookupError(x)

    def ask():
        try:
            fails(1)
        except LookupError as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(30)]
    for thread in threads:
        thread.start()
    begun.wait(20)
    until(lambda: fails._counts()[3] == 29)
    release.set()
    for thread in threads:
        thread.join(20)
    assert len({id(error) for error in failed}) == 1
    # The caller, tierce, the function: no more for 30 than for one.
    assert len(traceback.extract_tb(failed[0].__traceback__)) <= 4


def test_recursion_goes_as_deep_as_that_of_functools():
    def deepest(cached):
        @cached
        def count(n):
            return 0 if n == 0 else 1 + count(n - 1)

        for depth in range(20, sys.getrecursionlimit(), 5):
            count.cache_clear()
            try:
                count(depth)
            except RecursionError:
                return depth
        return sys.getrecursionlimit()

    # But for what a load calls and returns from before the function is called.
    assert deepest(memo) >= deepest(functools.lru_cache) - 10
