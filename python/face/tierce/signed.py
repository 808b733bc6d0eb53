"""Pickles that are signed: for values that have no other form, and asked for by name.

A pickle runs what it says when it is read. So nothing is read before its
signature was compared: HMAC-SHA256, which stands here and in no payload, by one
of the configured keys, each made into one of its own for each cache.
"""

from ._tierce import _called_codec
from .errors import PackError, UnpackError

__all__ = ["SignedPickle"]

_KEY_BYTES = 32
"""As many as SHA-256 gives: RFC 2104, section 3, discourages shorter keys."""

_SIGNATURE_BYTES = 32

_PURPOSE = b"tierce.SignedPickle 1\0"
"""What the keys of caches are made with, so that a signature made for anything else with the same key is none here."""

_PROTOCOL = 5
"""Of pickle: the newest that every supported CPython reads."""


class SignedPickle:
    """Store values as signed pickles; for classes that have no other form.

        @cached(codec=SignedPickle(os.environb[b"CACHE_KEY"]))

    key: at least 32 random bytes, secret: who has it and can write to the store
        runs code in every process that reads.
    older: keys that are read as well, and not signed with any more. To change
        the key, first give the new one to all as an older one.
    """

    __slots__ = ("_keys",)

    def __init__(self, key, /, *older):
        self._keys = tuple(map(_checked, (key, *older)))

    def __repr__(self):
        return f"<SignedPickle of {len(self._keys)} keys>"

    def __reduce__(self):
        raise TypeError("a SignedPickle holds secret keys, and is not pickled itself")

    def codec(self, context, function_name, /):
        """A codec whose payloads are good in this context alone: the name and the version of a cache, say."""
        import hmac
        import pickle

        if not isinstance(context, str):
            raise TypeError(f"context={context!r}: a text is needed")
        keys = [hmac.digest(key, _PURPOSE + context.encode(), "sha256") for key in self._keys]
        first = keys[0]

        def pack(value):
            try:
                pickled = pickle.dumps(value, _PROTOCOL)
            except (MemoryError, RecursionError):
                raise
            except Exception as error:
                raise PackError(f"{function_name}: result cannot be pickled: {error}") from error
            return hmac.digest(first, pickled, "sha256") + pickled

        def unpack(payload):
            signature, pickled = payload[:_SIGNATURE_BYTES], payload[_SIGNATURE_BYTES:]
            # Each is compared, in constant time, before a byte is unpickled.
            signed = [hmac.compare_digest(hmac.digest(key, pickled, "sha256"), signature) for key in keys]
            if not any(signed):
                raise UnpackError(f"{function_name}: what is stored is not signed by a key of this cache")
            try:
                return pickle.loads(pickled)
            except (MemoryError, RecursionError):
                raise
            except Exception as error:
                raise UnpackError(f"{function_name}: what is stored cannot be unpickled: {error}") from error

        return _called_codec((pack, unpack, function_name))


def _checked(key):
    if not isinstance(key, (bytes, bytearray)):
        raise TypeError("a key of SignedPickle is bytes: bytes.fromhex(…) of a text of hex digits")
    if len(key) < _KEY_BYTES:
        raise ValueError(
            f"a key of SignedPickle has at least {_KEY_BYTES} bytes, and this one has {len(key)}: "
            "secrets.token_bytes(32) makes one"
        )
    return bytes(key)
