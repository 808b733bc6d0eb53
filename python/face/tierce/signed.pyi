from typing import final

from .values import Codec

@final
class SignedPickle:
    def __init__(self, key: bytes | bytearray, /, *older: bytes | bytearray) -> None: ...
    def codec(self, context: str, function_name: str, /) -> Codec: ...

__all__ = ["SignedPickle"]
