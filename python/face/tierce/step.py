"""One operation of a mapping as one step: nothing of another thread comes in between."""

from functools import wraps

NOTHING = object()
"""Where there is no value, which None may be."""


def step(method):
    """Makes a method one step for other threads. Its listener is told when the outermost step has ended."""

    @wraps(method)
    def stepped(self, *args, **kwargs):
        if self._lock._is_owned():
            # An inner step, or a guest's: nobody tells them apart.
            self._turn += 1
            if not self._torn:
                return method(self, *args, **kwargs)
            try:
                self._renew()
                return method(self, *args, **kwargs)
            finally:
                # Whoever he came to goes on with what is no longer in use: the next guest has to see that as well.
                self._torn = True
        left, timer = None, self._timer
        try:
            with self._lock:
                try:
                    self._begin_step()
                    return method(self, *args, **kwargs)
                finally:
                    # No call, so that nothing comes in between.
                    if timer is not None:
                        timer.held = NOTHING
                    if self._left:
                        left = self._left
                        self._left = []
        finally:
            if left:
                _tell(self._listener, left)

    return stepped


def _tell(listener, left):
    failed = None
    for key, value, reason in left:
        # One that raises keeps nothing from being told; the first error is raised when all were.
        try:
            listener(key, value, reason)
        except Exception as error:
            failed = failed or error
    if failed is not None:
        raise failed
