from .mapping import Cache as Cache

__all__ = ["Cache"]
