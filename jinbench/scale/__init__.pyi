from .pipeline import process
from .readers import Settings

__all__ = ["Settings", "process"]
