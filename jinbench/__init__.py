"""JinBench: annotated benchmarks made from newspaper pages, from the page to the leaderboard."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
