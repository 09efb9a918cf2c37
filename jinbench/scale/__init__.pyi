from .pipeline import process
from .stages import Settings

__all__ = ["Settings", "process"]
