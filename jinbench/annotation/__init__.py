"""Annotation: label set, annotators, exports, adjudication, gold and agreement, as files without a server."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
