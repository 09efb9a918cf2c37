"""Cut the reasoning of a model off its reply."""

import re
from collections.abc import Callable

_WORDS = "think|thought|reason|reflect|scratchpad|monologue|analysis|cot_budget"
# <think>, [/THINK], ◁think▷, <seed:think>, <|begin_of_thought|>, <|END_THINKING|>, and others of this form
_TAG = (
    rf"(?:<\|?|\[|◁)(?P<slash>[/\uff0f]?)(?P<word>[\w:-]{{0,20}}(?:{_WORDS})[\w:-]{{0,20}})"
    r"(?:\s[^<>\[\]]{0,99})?(?:\|?>|\]|▷)"
)
_AFFIX = re.compile(r"^(?:begin|end|start)_(?:of_)?|_(?:begin|end|start)$")
# Other marks: what opens reasoning, what closes it, and whether that may be alone, because the template opens it.
_OTHERS = (
    # harmony, in which a call of a function belongs to the answer; with its marks, and without
    (
        r"<\|channel\|>\s*(?:analysis|commentary(?!\s*to=|[^<]*<\|constrain\|>))[^<]*<\|message\|>",
        r"<\|channel\|>\s*(?:final[^<]*|commentary\s*to=[^<]*)(?:<\|constrain\|>[^<]*)?<\|message\|>",
        True,
    ),
    (r"(?!)", r"<\|(?:end|call)\|>", False),
    (r"\Aanalysis(?=[A-Z\u4e00-\u9fff]|.*assistant\s?final)", r"assistant\s?(?:final|commentary(?=\s*to=))", False),
    (r"<\|channel>thought", r"<channel\|>", True),  # Gemma
    (r"<unused94>", r"<unused95>", True),
    (r"<\|inner_prefix\|>", r"<\|inner_suffix\|>", True),  # Apertus
    (r"Here(?:['’]s| is) my (?:thought process|thinking):", r"Here(?:['’]s| is) my response:", True),  # Granite
    (r"\A\s*Thinking\.\.\.\s*\n", r"\.\.\.\s?done thinking\.?", True),  # Ollama
    (r"[\[【](?:思考|推理|分析)\w{0,4}[\]】]", r"[\[【](?:/\w+|(?:最终)?(?:答案|结论|回答|输出|结果))[\]】]", False),
    (r"<details\b[^>]*reasoning[^>]*>", r"</details>", False),
    (rf"```(?:{_WORDS})\w*[ \t]*\n", r"\n\s*```", False),
)
_MARK = re.compile(
    "|".join([_TAG, *(f"(?P<open{n}>{left})|(?P<close{n}>{right})" for n, (left, right, _) in enumerate(_OTHERS))]),
    re.IGNORECASE | re.DOTALL,
)
# What some models write around an answer, and at its end.
_WRAPPING = re.compile(
    r"<\|start\|>\s*assistant|<\|channel\|>[^<]*|<\|[^<>|\s]{1,30}\|>|"
    r"</?(?P<word>answer|final_answer|response|output|solution|s|eos|end_of_turn)>",
    re.IGNORECASE,
)


def cut_reasoning(reply: str, is_label: Callable[[str], bool]) -> str | None:
    """Return what stands outside of reasoning; None if the reply breaks off within it. Tags of labels are no marks."""
    parts: list[str] = []
    opened: list[str] = []
    offset = 0
    for mark in _MARK.finditer(reply):
        kind, closes, alone = _read_mark(mark)
        if is_label(kind) or (closes and not opened and not alone):
            continue
        if not opened:
            parts.append(reply[offset : mark.start()])
        if not closes:
            opened.append(kind)
            continue
        if not opened:
            parts.clear()
        del opened[opened.index(kind) if kind in opened else -1 :]
        offset = mark.end()
    if opened:
        return None
    outside = "\n".join([*parts, reply[offset:]])
    return _WRAPPING.sub(lambda mark: mark[0] if mark["word"] and is_label(mark["word"]) else "\n", outside)


def _read_mark(mark: re.Match[str]) -> tuple[str, bool, bool]:
    """Return the kind of a mark, and whether it closes reasoning, and may do so alone."""
    if word := mark["word"]:
        kind = _AFFIX.sub("", word.casefold())
        return kind, bool(mark["slash"]) or "end" in word.casefold().split("_"), True
    group = mark.lastgroup or ""
    number = int(group.removeprefix("open").removeprefix("close"))
    return str(number), group.startswith("close"), _OTHERS[number][2]
