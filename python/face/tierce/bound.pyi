from . import BoundMemo as BoundMemo

__all__ = ["BoundMemo"]
