"""Sentence segmentation; control characters; text that UTF-8 can encode; names of files."""

import json
import re
import unicodedata
from typing import NamedTuple

CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"  # characters that no text has
# Characters that no reader sees. Joiners stay behind emoji and scripts in which they change what is seen.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0"
    "\ufff0-\ufffb\U000e0000-\U000e001f\U000e0080-\U000e0fff]"
    "|(?<![\u0600-\u0dff\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])[\u200c\u200d\ufe0f]"
)


def replace_unencodable(text: str) -> str:
    """Replace what UTF-8 cannot encode, such as half a surrogate pair, with "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


_SEPARATORS = set("\\:∕⁄⧸╱⫽⟋∖⧵⧹╲⟍")  # and what NFKC makes a slash or a backslash
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.IGNORECASE | re.DOTALL)


def is_file_name(name: str) -> bool:
    """Return whether every system can have a file of that name, with "/" between folders, inside some folder.

    No name is hidden, absolute or reserved, or has a character that is not seen or looks like a separator.
    """
    return len(name) <= 1000 and all(map(_is_name_part, name.split("/")))


def _is_name_part(part: str) -> bool:
    if not 0 < len(part.encode("utf-8", "replace")) <= 255 or part != part.strip() or part.endswith("."):
        return False
    plain = unicodedata.normalize("NFKC", part)
    if plain.startswith(".") or _SEPARATORS & {*part} or {"/", "\\"} & {*plain} or _RESERVED.fullmatch(plain):
        return False
    return all(map(is_visible, part))


_BLANK = set("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters and marks without a glyph


def escape_invisible(text: str, keep: str = "") -> str:
    """Replace characters that act on a terminal or cannot be seen by escapes, as JSON writes them; but those of `keep`.

    These are control and format characters, line breaks, half surrogate pairs, and letters without a glyph.
    """
    return "".join(char if is_visible(char) or char in keep else json.dumps(char)[1:-1] for char in text)


_MARKUP = re.compile(r"[\\`*~\[\]|#$!>]|(?<![^\W_])_|_(?![^\W_])|^[-+=]|(?<=^\d)[.)]")


def escape_markdown(text: str) -> str:
    """Escape text for a line or a cell of Markdown: no markup, link, picture, mention or formula, and no line break."""
    text = _MARKUP.sub(r"\\\g<0>", escape_invisible(" ".join(text.split())))
    for character, reference in (("&", "&amp;"), ("<", "&lt;"), ("@", "&#64;"), ("://", "&#58;//")):
        text = text.replace(character, reference)
    return re.sub(r"(www)\.", r"\1&#46;", text, flags=re.IGNORECASE)


def is_visible(char: str) -> bool:
    """Return whether a character is seen, or is a space that takes room."""
    return char not in _BLANK and (char.isprintable() or unicodedata.category(char) == "Zs")


class Sentence(NamedTuple):
    """A slice `[start, end)` of a passage: the unit of entity recognition."""

    id: str
    start: int
    end: int


_SENTENCE_END = re.compile(r"(?:[。！？!?]+|…+)[”’」』）)》]*")


def split_sentences(passage_id: str, text: str) -> list[Sentence]:
    """Split a passage into sentences without gaps; closing quotation marks stay with their sentence."""
    sentences: list[Sentence] = []
    start = 0
    for end in (*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)):
        if end > start:
            sentences.append(Sentence(f"{passage_id}-S{len(sentences) + 1}", start, end))
            start = end
    return sentences
