"""Linear layout models (layouts.json)."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]


_COEFFICIENTS = Path(__file__).with_name("layouts.json")


@dataclass(frozen=True)
class Linear:
    """Scores of classes from features: a row of weights for every class, the last weight being the constant."""

    classes: tuple[str, ...]
    features: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]

    def scores(self, matrix: "Array") -> "Array":
        """(rows, classes) for (rows, features)."""
        import numpy as np

        table = np.array(self.weights)
        return np.asarray(matrix @ table[:, :-1].T + table[:, -1])

    def chances(self, matrix: "Array") -> "Array":
        """How likely each class is: they sum to 1. With one class alone: how likely it is, as against not."""
        from scipy.special import expit, softmax

        scores = self.scores(matrix)
        chances: Array = expit(scores) if len(self.classes) == 1 else softmax(scores, axis=1)
        return chances


@dataclass(frozen=True)
class Model:
    """All that is learned. `forms`: of a line, what it looks like. `begins`: whether an article begins where headings,
    a dateline or a page reference stand. `main`: of the headings of an article, which is its headline. `joins`: of a
    pair of lines, whether one goes on in the other. `margin`: (slope, constant) from the margin of a join to how likely
    it is right. `threshold`: how likely `begins` has to be.
    """

    forms: Linear
    begins: Linear
    main: Linear
    joins: Linear
    margin: tuple[float, float]
    threshold: float

    def to_dict(self) -> dict[str, Any]:
        parts = {"forms": self.forms, "begins": self.begins, "main": self.main, "joins": self.joins}
        tables = {
            name: {"features": list(part.features),
                   "weights": {c: list(row) for c, row in zip(part.classes, part.weights, strict=True)}}
            for name, part in parts.items()
        }  # fmt: skip
        return {**tables, "margin": list(self.margin), "threshold": self.threshold}


def model_of(table: dict[str, Any]) -> Model:
    """The model that :meth:`Model.to_dict` wrote."""

    def linear(part: dict[str, Any]) -> Linear:
        return Linear(tuple(part["weights"]), tuple(part["features"]), tuple(map(tuple, part["weights"].values())))

    forms, begins, main, joins = (linear(table[name]) for name in ("forms", "begins", "main", "joins"))
    slope, constant = table["margin"]
    return Model(forms, begins, main, joins, (slope, constant), table["threshold"])


@cache
def model() -> Model:
    """The one that comes with the package."""
    return model_of(json.loads(_COEFFICIENTS.read_text(encoding="utf-8")))
