"""Differences of colours, against published figures."""

import pytest

from jinbench.labelstudio import colours

# Rows of table 1 in Sharma, Wu and Dalal 2005, among them those in which programs went wrong.
SHARMA = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0011), 7.2195),
    ((50.0, -0.001, 2.49), (50.0, 0.0011, -2.49), 4.7461),
    ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
    ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
    ((36.4612, 47.858, 18.3852), (36.2715, 50.5065, 21.2231), 1.4146),
    ((90.8027, -2.0831, 1.441), (91.1528, -1.6435, 0.0447), 1.4441),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.mark.parametrize(("one", "other", "distance"), SHARMA)
def test_colour_differences_are_the_published_ones(one: colours.Triple, other: colours.Triple, distance: float) -> None:
    assert colours.ciede2000(one, other) == pytest.approx(distance, abs=5e-5)
    assert colours.ciede2000(other, one) == pytest.approx(distance, abs=5e-5)


def test_lab_of_known_colours() -> None:
    assert colours.to_lab("#FFFFFF") == pytest.approx((100, 0, 0), abs=0.01)
    assert colours.to_lab("#FF0000") == pytest.approx((53.24, 80.09, 67.20), abs=0.02)
    assert colours.to_lab("#0000FF") == pytest.approx((32.30, 79.19, -107.86), abs=0.02)


def test_contrast_of_known_colours() -> None:
    assert colours.contrast_ratio("#000000", "#FFFFFF") == pytest.approx(21)
    assert colours.contrast_ratio("#767676", "#FFFFFF") == pytest.approx(4.54, abs=0.005)


def test_a_layer_is_mixed_with_its_ground() -> None:
    assert colours.blend("#000000", 0.3) == "#B2B2B2"
    assert colours.blend("#BB2200", 1) == "#BB2200"


def test_grey_is_grey_to_everybody() -> None:
    for vision in colours.VISIONS:
        assert colours.to_lab("#808080", vision) == pytest.approx(colours.to_lab("#808080"), abs=0.01)


def test_red_and_green_are_apart_for_those_who_see_them() -> None:
    """Two colours that differ by what protanopes and deuteranopes lack."""
    pair = {"red": "#A06A50", "green": "#758050"}
    closest = {
        vision: closest.distance for vision in colours.VISIONS if (closest := colours.find_closest_pair(pair, vision))
    }
    assert closest["normal"] > 25
    assert closest["tritanopia"] > 25
    assert closest["deuteranopia"] < 8


def test_the_closest_of_three() -> None:
    closest = colours.find_closest_pair({"a": "#000000", "b": "#FFFFFF", "c": "#EEEEEE"}, "normal")
    assert closest is not None
    assert (closest.first, closest.second, closest.vision) == ("b", "c", "normal")
    assert colours.find_closest_pair({"a": "#000000"}, "normal") is None
