"""What the glue asks of asyncio's loops."""

from contextvars import ContextVar
from types import FunctionType

inside = ContextVar("tierce.inside")
"""The load that a loader belongs to: what it asks for must not wait for that."""


async def _until_shutdown(end):
    try:
        yield
    finally:
        end()


def at_shutdown(end):
    """Calls end when the running loop shuts its async generators down, as asyncio.run does last."""
    generator = _until_shutdown(end)
    try:
        generator.__anext__().send(None)
    except StopIteration:
        pass
    return generator


def release(generator):
    """Ends what at_shutdown made, which runs if it is that which asks: to let it go would make a task on its loop."""
    if not generator.ag_running:
        try:
            generator.aclose().send(None)
        except StopIteration:
            pass


def makes_tasks(loop):
    """Whether a loop's type has a create_task of its own, as one that traces has."""
    from asyncio import BaseEventLoop

    create = type(loop).create_task
    return isinstance(create, FunctionType) and create is not BaseEventLoop.create_task


def tells_at_once(loop):
    """Whether a loop's task may go on in the call of the loop in which it is answered. Not where each step of a task is looked at by
    itself, which debug mode does, nor where a loop may run inside its own tasks, as nest_asyncio has it."""
    return not loop.get_debug() and not hasattr(loop, "_nest_patched")
