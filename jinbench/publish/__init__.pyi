from .card import build_card
from .croissant import build_croissant
from .hub import publish_dataset
from .standoff import hydrate

__all__ = ["build_card", "build_croissant", "hydrate", "publish_dataset"]
