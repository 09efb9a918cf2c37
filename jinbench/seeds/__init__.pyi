from .articles import Seeds, read_seeds
from .importer import import_pages

__all__ = ["Seeds", "import_pages", "read_seeds"]
