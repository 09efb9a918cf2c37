"""Labeling configuration (XML) from the label set."""

import itertools
import re
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

from jinbench.annotation.exports import REASONS, SECTORS, SPANS, TEXT
from jinbench.annotation.labels import LabelDefinition, LabelSet
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.environment import require_packages
from jinbench.core.errors import ErrorList, fail, shorten

TINT = 0.3  # opacity with which Label Studio paints the background of a span

MIN_DISTANCE = 10.0  # CIEDE2000: closer colours are easily confused
_KEY_HEADINGS = ("按键", "快捷键", "键", "key", "hotkey")  # in a table of the guidelines
VISIONS = {"normal": None, "protanopia": "protan", "deuteranopia": "deutan", "tritanopia": "tritan"}

# Compact enough for a passage of median length at 1280 x 800. Label Studio sanitizes this text as HTML, so it must not
# contain & < >. A selected type turns dark, as white on its own colour would be too faint for some. The dialog with the
# instructions has no styles of its own for headings, lists and tables.
_STYLE = """
    .jinbench h3 { margin: 4px 0 !important; font-size: 18px; line-height: 24px; }
    .jinbench .lsf-labels { margin: 4px 0; gap: 4px; }
    .jinbench .lsf-label { margin: 0; padding: 0 6px; border-left-width: 7px; }
    .jinbench .lsf-label__hotkey { margin-left: 4px; }
    .jinbench .lsf-label__hotkey, .jinbench .lsf-hint { top: 0; padding: 0 3px;
      border: 1px solid var(--color-neutral-border);
      border-radius: 3px; color: var(--color-neutral-content); font: 10px/14px monospace; vertical-align: 1px; }
    .jinbench .lsf-label_selected { background: #1f2328; color: #ffffff; }
    .jinbench .lsf-label_selected .lsf-label__hotkey { color: #ffffff; }
    .jinbench .context .lsf-richtext__container { color: var(--color-neutral-content-subtler); font-size: 13px; }
    .jinbench .context:has(.lsf-richtext__line:empty) { display: none; }
    .jinbench .passage { margin: 4px 0; padding: 2px 0;
      border: solid var(--color-neutral-border); border-width: 1px 0; }
    .jinbench .passage .lsf-richtext__container { font-size: 18px; line-height: 34px; }
    .jinbench .passage .htx-highlight { padding: 3px 0; }
    .jinbench .passage .htx-highlight::after { font-size: 10.5px; white-space: nowrap; }
    .jinbench .lsf-choices { display: grid; margin: 4px 0;
      grid-template-columns: repeat(auto-fill, minmax(212px, 1fr)); }
    .jinbench .lsf-choice { line-height: 26px; white-space: nowrap; }
    .jinbench .lsf-hint { margin-left: 4px; }
    .jinbench .word [class*="typography"] { margin: 0 !important; font-size: 14px; line-height: 20px; }
    .jinbench .decisions { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; align-items: start; }
    .jinbench .reasons :is(.ant-form-item, [data-testid="textarea-regions"]) { margin-bottom: 4px !important; }
    .jinbench .decisions :is(th, td) { padding: 1px 6px; border: 1px solid var(--color-neutral-border);
      font-size: 13px; line-height: 19px; text-align: left; vertical-align: top; }
    .lsf-modal-ls__body h2, .lsf-modal-ls__body h3 { margin-top: 1em; font-weight: bold; }
    .lsf-modal-ls__body p, .lsf-modal-ls__body table { margin: 0.5em 0; }
    .lsf-modal-ls__body ul, .lsf-modal-ls__body ol { margin: 0.5em 0; padding-left: 1.5em; list-style: disc; }
    .lsf-modal-ls__body ol { list-style: decimal; }
    .lsf-modal-ls__body th, .lsf-modal-ls__body td { padding: 2px 6px; border: 1px solid var(--color-neutral-border); }
"""


def build_labeling_config(label_set: LabelSet, decisions: bool = False) -> str:
    """Return the annotation page as Label Studio XML; with `decisions`, the page of an adjudicator.

    Names are stored (`alias`), Chinese is displayed. Characters are selected one by one (`granularity="symbol"`): by
    words, the selection would snap to the dictionary of the browser. Texts of labels are escaped: they are no tags, no
    styles, and no variables of the task.
    """

    def label(entry: LabelDefinition) -> str:
        return (
            f"      <Label value={_attribute(entry.zh)} alias={quoteattr(entry.name)} hotkey={quoteattr(entry.hotkey)}"
            f" background={quoteattr(entry.colour)} hint={_attribute(entry.definition)}/>"
        )

    def choice(entry: LabelDefinition) -> str:
        return (
            f"      <Choice value={_attribute(entry.zh)} alias={quoteattr(entry.name)}"
            f" hotkey={quoteattr(entry.hotkey)} hint={_attribute(entry.definition)}/>"
        )

    spans = [
        f'  <Labels name="{SPANS}" toName="{TEXT}" showInline="true">',
        *(label(entry) for entry in label_set.entities),
        "  </Labels>",
    ]
    lines = [
        "<!-- Generated from labels.toml by `jinbench labels config`. -->",
        '<View className="jinbench">',
        f"  <Style>{_STYLE}{''.join(map(_underline, label_set.entities))}  </Style>",
        '  <Header value="$title" size="4"/>',
        *(spans if label_set.entities else ()),
        '  <View className="context"><Text name="before" value="$before"/></View>',
        '  <View className="passage">',
        f'    <Text name="{TEXT}" value="$text" granularity="symbol" showLabels="true"/>',
        "  </View>",
        '  <View className="context"><Text name="after" value="$after"/></View>',
    ]
    if label_set.sectors:
        lines += [
            f'  <View className="word"><Header value={_attribute(label_set.sector_title)} size="6"/></View>',
            f'  <Choices name="{SECTORS}" toName="{TEXT}" choice="multiple" showInline="true"',
            f'           required="true" requiredMessage={_attribute(f"至少勾选一个{label_set.sector_title}")}>',
            *(choice(entry) for entry in label_set.sectors),
            "  </Choices>",
        ]
    if decisions:
        title = label_set.sector_title
        explanation = f"裁定理由:每处分歧一条,接在冒号后面写;推翻一致的标注另写一条“文字: 理由”或“{title}: 理由”"
        lines += [
            f'  <View className="word"><Header value={_attribute(explanation)} size="6"/></View>',
            '  <View className="decisions">',
            '    <HyperText name="disagreements" value="$disagreements" inline="true"/>',
            '    <View className="reasons">',
            f'      <TextArea name="{REASONS}" toName="{TEXT}" rows="1" editable="true" maxSubmissions="99"/>',
            "    </View>",
            "  </View>",
        ]
    return "\n".join([*lines, "</View>"]) + "\n"


def _escape(text: str) -> str:
    """Return `text` so that Label Studio displays it unchanged, and does not read a `$name` in it as a task field.

    Such a dollar is followed by an invisible word joiner; characters that XML cannot hold become U+FFFD.
    """
    text = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
    text = re.sub(r"\$(?=[\w\[\].{}])", "$\u2060", text)
    return f"\u2060{text}" if text.startswith("$") else text


def _attribute(text: str) -> str:
    return quoteattr(_escape(text))


def _underline(entry: LabelDefinition) -> str:
    """Return the CSS rule that underlines spans of a type in its full colour; their background is pale."""
    name = "".join(c if c.isalnum() else f"\\{ord(c):x} " for c in _escape(entry.zh))
    selector = f'.jinbench .htx-highlight[data-label$=":{name}"]'
    return f"    {selector} {{ box-shadow: inset 0 -3px {entry.colour}; }}\n" if entry.colour else ""


class ColourPair(NamedTuple):
    """Two types, and the distance (CIEDE2000) of their colours for a kind of vision, a key of `VISIONS`."""

    distance: float
    first: str
    second: str
    vision: str


def find_similar_colours(label_set: LabelSet) -> list[ColourPair]:
    """Return for each kind of vision the two types with the most similar colours; empty without two colours.

    Raise :class:`DataError` (package-missing) without the extra `annotate`.
    """
    require_packages("coloraide")
    from coloraide import Color

    closest = []
    for vision, deficiency in VISIONS.items():
        colours = {entry.name: Color(entry.colour) for entry in label_set.entities if entry.colour}
        if deficiency:
            colours = {name: colour.filter(deficiency, method="machado").clip() for name, colour in colours.items()}
        pairs = (
            ColourPair(colours[first].delta_e(colours[second], method="2000"), first, second, vision)
            for first, second in itertools.combinations(colours, 2)
        )
        closest += [min(pairs)] if len(colours) > 1 else []
    return closest


def find_unexplained_labels(benchmark: Benchmark, label_set: LabelSet) -> list[str]:
    """Return the displayed names of labels that the guidelines never mention; empty without guidelines."""
    if not benchmark.guidelines.is_file():
        return []
    text = files.read_text(benchmark.guidelines)
    return [entry.zh for entry in (*label_set.entities, *label_set.sectors) if entry.zh not in text]


def check_guidelines(benchmark: Benchmark, label_set: LabelSet) -> None:
    """Raise :class:`DataError` (guidelines) for a TODO in the guidelines, and for a table of keys unlike labels.toml.

    Such a table has labels in its first column, and another one that is called as in `_KEY_HEADINGS`.
    """
    if not benchmark.guidelines.is_file():
        return
    problems, file, listed, column = ErrorList(), files.display_path(benchmark.guidelines), set[str](), None
    labels = (*label_set.entities, *label_set.sectors)
    by_cell = {text: label for label in labels for text in (label.name, label.zh, f"{label.name} {label.zh}")}
    for number, line in enumerate(files.read_text(benchmark.guidelines).splitlines(), 1):
        if re.search(r"^\W*TODO\b|TODO\s*[:\uff1a]", line):
            expected, fix = "finished guidelines", "write there what it asks for, and remove the word"
            problems.add("guidelines", f"{file} line {number}", expected=expected, found=shorten(line), fix=fix)
        cells = [cell.strip("`* ") for cell in line.strip().strip("|").split("|")]
        if not line.strip().startswith("|"):
            column = None
        elif column is None:
            column = next((i for i, cell in enumerate(cells) if cell.casefold() in _KEY_HEADINGS), 0)
        elif column and set(line) - set("|-: "):
            label, key = by_cell.get(cells[0]), "".join(cells[column : column + 1]).replace(" ", "")
            listed.add(label.name if label else "")
            if label is None or label.hotkey.casefold() != key.casefold():
                expected = f"{label.zh} with the key {label.hotkey}" if label else "a label of labels.toml"
                found, fix = f"{cells[0]} with the key {key}", "correct the line, or labels.toml"
                problems.add("guidelines", f"{file} line {number}", expected=expected, found=found, fix=fix)
    for kind in (label_set.entities, label_set.sectors):
        missing = [label.zh for label in kind if label.name not in listed]
        if 0 < len(missing) < len(kind):
            found, fix = f"none for {', '.join(missing)}", "add a line for them to the table of keys"
            problems.add("guidelines", file, expected="a key for each label", found=found, fix=fix)
    problems.raise_if_any()


def check_labeling_config(benchmark: Benchmark, label_set: LabelSet) -> None:
    """Raise :class:`DataError` (stale-config) unless labeling_config.xml is up to date with labels.toml."""
    path = benchmark.labeling_config
    if not path.is_file() or files.read_text(path) != build_labeling_config(label_set):
        fail(
            "stale-config",
            files.display_path(path),
            expected="the configuration of labels.toml",
            found="another one, or none",
            fix="type: jinbench labels config",
        )
