from .articles import Seeds, read_seeds
from .importer import ImportOptions, import_pages

__all__ = ["ImportOptions", "Seeds", "import_pages", "read_seeds"]
