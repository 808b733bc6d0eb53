"""What goes wrong in a cache itself; a function's own exceptions reach its callers as they are."""


class CycleError(RecursionError):
    """A load waits for itself: it asks, at once or through others, for the key that it loads."""


class LoadCancelledError(RuntimeError):
    """The load of a value was cancelled, though nobody had cancelled who waited for it."""


class StoreError(ConnectionError):
    """The store could not be told of a change. It is told as soon as it answers again; this process goes by it already."""
