"""Labeling configuration (XML) from the label set."""

import re
from xml.sax.saxutils import quoteattr

from jinbench.annotation.exports import REASONS, SECTORS, SPANS, TEXT
from jinbench.annotation.labels import LabelDefinition, LabelSet
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem
from jinbench.labelstudio import colours
from jinbench.labelstudio.colours import ColourPair

TINT = 0.3  # the opacity with which Label Studio paints a labelled stretch

APART = 10.0  # CIEDE2000: colours nearer than this are soon taken for each other

# Compact enough for a passage of usual length at 1280 x 800. Whatever stands here is text of the page that Label Studio
# takes through its cleaner of HTML, so it holds none of & < >. A type that is picked turns dark: white on its
# own colour would be too faint on some. The instructions are shown over the page and lose their form otherwise.
_STYLE = """
    .desk h3 { margin: 4px 0 !important; font-size: 18px; line-height: 24px; }
    .desk .lsf-labels { margin: 4px 0; gap: 4px; }
    .desk .lsf-label { margin: 0; padding: 0 6px; border-left-width: 7px; }
    .desk .lsf-label__hotkey { margin-left: 4px; }
    .desk .lsf-label__hotkey, .desk .lsf-hint { top: 0; padding: 0 3px; border: 1px solid var(--color-neutral-border);
      border-radius: 3px; color: var(--color-neutral-content); font: 10px/14px monospace; vertical-align: 1px; }
    .desk .lsf-label_selected { background: #1f2328; color: #ffffff; }
    .desk .lsf-label_selected .lsf-label__hotkey { color: #ffffff; }
    .desk .context .lsf-richtext__container { color: var(--color-neutral-content-subtler); font-size: 13px; }
    .desk .context:has(.lsf-richtext__line:empty) { display: none; }
    .desk .passage { margin: 4px 0; padding: 2px 0; border: solid var(--color-neutral-border); border-width: 1px 0; }
    .desk .passage .lsf-richtext__container { font-size: 18px; line-height: 34px; }
    .desk .passage .htx-highlight { padding: 3px 0; }
    .desk .passage .htx-highlight::after { font-size: 10.5px; white-space: nowrap; }
    .desk .lsf-choices { display: grid; grid-template-columns: repeat(auto-fill, minmax(212px, 1fr)); margin: 4px 0; }
    .desk .lsf-choice { line-height: 26px; white-space: nowrap; }
    .desk .lsf-hint { margin-left: 4px; }
    .desk .reasons [class*="typography"] { margin: 0 !important; font-size: 14px; line-height: 20px; }
    .lsf-modal-ls__body h2, .lsf-modal-ls__body h3 { margin-top: 1em; font-weight: bold; }
    .lsf-modal-ls__body p, .lsf-modal-ls__body table { margin: 0.5em 0; }
    .lsf-modal-ls__body ul, .lsf-modal-ls__body ol { margin: 0.5em 0; padding-left: 1.5em; list-style: disc; }
    .lsf-modal-ls__body ol { list-style: decimal; }
    .lsf-modal-ls__body th, .lsf-modal-ls__body td { padding: 2px 6px; border: 1px solid var(--color-neutral-border); }
"""


def build_labeling_config(labels: LabelSet, reasons: bool = False) -> str:
    """The page an annotator sees, as Label Studio XML; with `reasons`, what an adjudicator sees.

    The stored values are the names (`alias`), what is shown is Chinese. Characters are selected one by one
    (`granularity="symbol"`): word by word the selection would snap to the browser's own dictionary. Whatever a label
    says stays text: neither a tag, nor a style, nor a variable of the task.
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
        *(label(entry) for entry in labels.entities),
        "  </Labels>",
    ]
    lines = [
        "<!-- Generated from labels.toml by `jinbench labels config`. -->",
        '<View className="desk">',
        f"  <Style>{_STYLE}{''.join(map(_underline, labels.entities))}  </Style>",
        '  <Header value="$title" size="4"/>',
        *(spans if labels.entities else ()),
        '  <View className="context"><Text name="before" value="$before"/></View>',
        '  <View className="passage">',
        f'    <Text name="{TEXT}" value="$text" granularity="symbol" showLabels="true"/>',
        "  </View>",
        '  <View className="context"><Text name="after" value="$after"/></View>',
    ]
    if labels.sectors:
        lines += [
            f'  <Choices name="{SECTORS}" toName="{TEXT}" choice="multiple" showInline="true"',
            '           required="true" requiredMessage="至少勾选一个产业">',
            *(choice(entry) for entry in labels.sectors),
            "  </Choices>",
        ]
    if reasons:
        lines += [
            '  <View className="reasons">',
            '    <Header value="裁定理由:每处分歧一条,写成“文字: 理由”,产业写成“产业: 理由”" size="6"/>',
            f'    <TextArea name="{REASONS}" toName="{TEXT}" rows="1" editable="true" maxSubmissions="99"/>',
            "  </View>",
        ]
    return "\n".join([*lines, "</View>"]) + "\n"


def _shown(text: str) -> str:
    """`text` as Label Studio shows it letter by letter: a `$name` in it would be taken for a field of the task.

    A word joiner, which is not seen, stands behind such a dollar; a character that XML cannot hold becomes U+FFFD.
    """
    text = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
    text = re.sub(r"\$(?=[\w\[\].{}])", "$\u2060", text)
    return f"\u2060{text}" if text.startswith("$") else text


def _attribute(text: str) -> str:
    return quoteattr(_shown(text))


def _underline(entry: LabelDefinition) -> str:
    """The rule that underlines what is labelled so in the full colour, which the tint is too pale to tell apart."""
    name = "".join(c if c.isalnum() else f"\\{ord(c):x} " for c in _shown(entry.zh))
    selector = f'.desk .htx-highlight[data-label$=":{name}"]'
    return f"    {selector} {{ box-shadow: inset 0 -3px {entry.colour}; }}\n" if entry.colour else ""


def find_similar_colours(labels: LabelSet) -> list[ColourPair]:
    """Of each kind of vision, the two types whose colours look most alike; nothing if there are not two colours."""
    painted = {entry.name: entry.colour for entry in labels.entities if entry.colour}
    return [pair for vision in colours.VISIONS if (pair := colours.find_closest_pair(painted, vision)) is not None]


def find_unexplained_labels(benchmark: Benchmark, labels: LabelSet) -> list[str]:
    """What the page shows of labels that the guidelines never mention; nothing where there are no guidelines."""
    text = files.read_text(benchmark.guidelines) if benchmark.guidelines.is_file() else None
    return [entry.zh for entry in (*labels.entities, *labels.sectors) if text is not None and entry.zh not in text]


def check_labeling_config(benchmark: Benchmark, labels: LabelSet) -> None:
    """Raises :class:`DataError` (stale-config) if labeling_config.xml is not what labels.toml gives."""
    path = benchmark.labeling_config
    if not path.is_file() or files.read_text(path) != build_labeling_config(labels):
        found = "something else or nothing"
        raise DataError(
            Problem(
                "stale-config",
                location=files.display_path(path),
                expected="what labels.toml gives",
                found=found,
                fix="jinbench labels config",
            )
        )
