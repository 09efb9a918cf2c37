"""Linear layout models and their coefficients (layouts.json)."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinbench.core.types import JsonObject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]


_COEFFICIENTS = Path(__file__).with_name("layouts.json")


@dataclass(frozen=True)
class LinearModel:
    """Scores of classes from features: a row of weights for every class, the last weight being the constant."""

    classes: tuple[str, ...]
    features: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]

    def scores(self, matrix: "FloatArray") -> "FloatArray":
        """Return scores (rows, classes) for features (rows, features)."""
        import numpy as np

        table = np.array(self.weights)
        return np.asarray(matrix @ table[:, :-1].T + table[:, -1])

    def probabilities(self, matrix: "FloatArray") -> "FloatArray":
        """Return probabilities (rows, classes) that sum to 1; of a single class, that of the class against not."""
        from scipy.special import expit, softmax

        scores = self.scores(matrix)
        probabilities: FloatArray = expit(scores) if len(self.classes) == 1 else softmax(scores, axis=1)
        return probabilities


@dataclass(frozen=True)
class LayoutModel:
    """The layout models together.

    `line_classes`: class of a line. `article_starts`: whether an article begins at headings, a dateline or a
    continuation line. `headlines`: which heading of an article is its headline. `joins`: whether a line continues in
    another. `join_calibration`: (slope, constant) from the margin of a join to its log-odds. `start_threshold`: the
    probability from which an article begins.
    """

    line_classes: LinearModel
    article_starts: LinearModel
    headlines: LinearModel
    joins: LinearModel
    join_calibration: tuple[float, float]
    start_threshold: float

    def to_dict(self) -> dict[str, object]:
        """Return the models as layouts.json has them."""
        models = {
            "forms": self.line_classes, "begins": self.article_starts, "main": self.headlines, "joins": self.joins,
        }  # fmt: skip
        tables = {
            name: {"features": list(model.features),
                   "weights": {c: list(row) for c, row in zip(model.classes, model.weights, strict=True)}}
            for name, model in models.items()
        }  # fmt: skip
        return {**tables, "margin": list(self.join_calibration), "threshold": self.start_threshold}

    @classmethod
    def from_dict(cls, table: JsonObject) -> "LayoutModel":
        """Return the models that :meth:`to_dict` wrote."""

        def linear(part: JsonObject) -> LinearModel:
            return LinearModel(
                tuple(part["weights"]), tuple(part["features"]), tuple(map(tuple, part["weights"].values()))
            )

        line_classes, starts, headlines, joins = (linear(table[name]) for name in ("forms", "begins", "main", "joins"))
        slope, constant = table["margin"]
        return cls(line_classes, starts, headlines, joins, (slope, constant), table["threshold"])


@cache
def load_model() -> LayoutModel:
    """Load the models that come with the package."""
    return LayoutModel.from_dict(json.loads(_COEFFICIENTS.read_text(encoding="utf-8")))
