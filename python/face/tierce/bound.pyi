from . import BoundCached as BoundCached
from . import BoundMemo as BoundMemo

__all__ = ["BoundCached", "BoundMemo"]
