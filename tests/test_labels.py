"""The label set and the page that is made from it."""

import re

import pytest
from label_studio_sdk.label_interface import LabelInterface

from jinbench import labels
from jinbench.rooms import Rooms


@pytest.fixture(scope="module")
def label_set(real: Rooms) -> labels.LabelSet:
    return labels.read(real)


def test_the_label_set(label_set: labels.LabelSet) -> None:
    assert (len(label_set.entities), len(label_set.sectors)) == (11, 11)
    assert label_set.tag_names[:3] == ("O", "B-PERSON", "I-PERSON")
    assert label_set.lone_sectors == {"general"}
    for label in (*label_set.entities, *label_set.sectors):
        assert label.zh
        assert label.en
        assert label.definition
        assert label.examples


def test_colours_and_hotkeys_differ(label_set: labels.LabelSet) -> None:
    assert len({label.colour for label in label_set.entities}) == 11
    assert len({label.hotkey for label in (*label_set.entities, *label_set.sectors)}) == 22


def test_crosswalks_are_complete(label_set: labels.LabelSet) -> None:
    assert all(set(label.crosswalk or {}) == {"msra", "cluener", "ontonotes"} for label in label_set.entities)
    assert all(label.gbt4754 or label.alone for label in label_set.sectors)


def test_the_committed_config_is_up_to_date_and_accepted_by_the_sdk(real: Rooms, label_set: labels.LabelSet) -> None:
    labels.check_config(real, label_set)
    interface = LabelInterface(real.labeling_config.read_text())
    interface.validate()
    assert tuple(interface.get_control("entities").labels) == label_set.entity_names
    assert tuple(interface.get_control("sectors").labels) == label_set.sector_names


def test_the_guidelines_speak_of_every_label(real: Rooms, label_set: labels.LabelSet) -> None:
    text = real.guidelines.read_text()
    for label in (*label_set.entities, *label_set.sectors):
        assert label.name in text
        assert label.zh in text
    assert f"版本 {label_set.version}" in text


def test_the_examples_of_the_guidelines_use_known_types(real: Rooms, label_set: labels.LabelSet) -> None:
    used = re.findall(r"\[[^\[\]|]+\|([A-Z]+)\]", real.guidelines.read_text())
    assert len(used) > 80
    assert set(used) <= set(label_set.entity_names)
