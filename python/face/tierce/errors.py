"""What goes wrong in a cache itself; a function's own exceptions reach its callers as they are."""


class CycleError(RecursionError):
    """A load waits for itself: it asks, at once or through others, for the key that it loads."""


class LoadCancelledError(RuntimeError):
    """The load of a value was cancelled, though nobody had cancelled who waited for it."""


class PackError(TypeError):
    """A value would not come back as it is, and is not stored: the message says what in it, and what to do."""


class UnpackError(ValueError):
    """What is stored is no value of the annotation. To a cache it is a miss."""


class NameTaken(ValueError):
    """For the package alone: a cache of this name is there, or one that is gone is still loading."""


class StoreError(ConnectionError):
    """The store could not be told of a change. It is told as soon as it answers again; this process goes by it already."""
