from .recipe import Recipe, load_recipe
from .run import run_recipe

__all__ = ["Recipe", "load_recipe", "run_recipe"]
