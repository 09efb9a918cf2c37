"""CrfTagger passes scikit-learn's own checks of estimators."""

from collections.abc import Iterator
from typing import Any
from unittest import SkipTest

import numpy as np
import pytest
from sklearn.utils import InputTags, estimator_checks, get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from jinbench.models import CrfTagger


class OverMatrices(CrfTagger):
    """A tagger over matrices of numbers, as the suite has them.

    A row is a text, a number a character; the label of a row is the type of a span over its first two characters.
    Predictions are numbers of tags.
    """

    def fit(self, X: Any, y: Any) -> Any:
        return super().fit(to_texts(X), None if y is None else to_spans(X, y))

    def predict(self, X: Any) -> Any:
        kinds = ["O", *(f"{prefix}-{type}" for prefix in "BI" for type in getattr(self, "classes_", ()))]
        return np.array([[kinds.index(tag) for tag in tags] for tags in super().predict(to_texts(X))])

    def score(self, X: Any, y: Any) -> float:
        return super().score(to_texts(X), to_spans(X, y))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = InputTags()
        return tags


def to_texts(X: Any) -> list[str]:
    return ["".join(chr(0x4E00 + int(8 * value) % 512) for value in row) for row in np.asarray(X)]


def to_spans(X: Any, y: Any) -> list[list[tuple[int, int, str]]]:
    return [[(0, min(2, len(row)), str(label))] for row, label in zip(np.asarray(X), y, strict=True)]


SUITE = [OverMatrices(models=1, epochs=2, min_updates=10)]
SPARSE = "texts are not sparse matrices; the tests above refuse what is no text"
FEATURES = "texts have no number of features"
INAPPLICABLE = {
    "check_n_features_in_after_fitting": FEATURES,
    "check_n_features_in": FEATURES,
    "check_complex_data": "a text holds no complex numbers; what is no text is refused",
    "check_dtype_object": "texts are objects; what is no text is refused",
    "check_estimators_empty_data_messages": "texts have no columns that can be missing; no texts are refused",
    "check_estimators_nan_inf": "a text holds no numbers; NaN among texts is refused",
    "check_estimator_sparse_tag": SPARSE,
    "check_estimator_sparse_array": SPARSE,
    "check_estimator_sparse_matrix": SPARSE,
    "check_array_api_input": "it leaves out itself unless SCIPY_ARRAY_API is set, and is about arrays of numbers",
    "check_fit1d": "a list of texts has one dimension",
    "check_fit2d_predict1d": "a list of texts has one dimension",
}


def checks() -> Iterator[Any]:
    for tagger in SUITE:
        for one, check in estimator_checks_generator(tagger):
            options = "-".join(f"{key}={value}" for key, value in check.keywords.items())
            yield pytest.param(
                one, check, id="-".join(filter(None, [type(one).__name__, check.func.__name__, options]))
            )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("tagger", "check"), list(checks()))
def test_tagger_passes_the_suite(tagger: Any, check: Any) -> None:
    if check.func.__name__ not in INAPPLICABLE:
        try:
            check(tagger)
        except SkipTest as skipped:
            pytest.fail(f"left out by itself: {skipped}")
        return
    with pytest.raises((Exception, SkipTest)):  # else it need not be in the list
        check(tagger)


def test_inapplicable_checks_are_in_the_suite() -> None:
    for tagger in SUITE:
        assert set(INAPPLICABLE) <= {check.func.__name__ for _, check in estimator_checks_generator(tagger)}


ABOUT_THE_CLASS = [
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_valid_tag_types,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
    estimator_checks.check_mixin_order,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_set_params,
]


@pytest.mark.parametrize("check", ABOUT_THE_CLASS)
def test_checks_without_data_pass_on_the_tagger_itself(check: Any) -> None:
    check("CrfTagger", CrfTagger())


def test_tags_declare_texts_and_required_labels() -> None:
    tags = get_tags(CrfTagger())
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert tags.target_tags.required
    assert tags.requires_fit
    assert not tags.no_validation
