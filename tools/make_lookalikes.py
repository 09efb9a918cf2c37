"""Make jinbench/dataset/lookalikes.tsv: for common Chinese characters, the common characters that look most like them.

    python tools/make_lookalikes.py [--check]

Each character of GB 2312 is drawn with Noto Sans CJK (SIL Open Font License; from the package
cvttf-notosanscjk-regular, pinned with its hash in requirements.lock), blurred, and compared with those of the first
level of GB 2312, the 3,755 most frequent ones, by the cosine of their pixels. Up to three that come near enough are
kept, the nearest first. The same fonts and libraries give the same table; `--check` compares instead of writing.
"""

import sys
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

TABLE = Path(__file__).parent.parent / "jinbench" / "dataset" / "lookalikes.tsv"
PACKAGE, FILE = "cvttf-notosanscjk-regular", "cvttf_NotoSansCJK_Regular/NotoSansCJKtc-Regular.otf"
SIZE, BLUR = 40, 1.5  # pixels
MIN_COSINE = 0.76  # of two drawings, the mean of all drawings subtracted
MAX_SIMILAR = 3


def list_gb2312(first_row: int, last_row: int) -> list[str]:
    """Return the Han characters in these rows of GB 2312: 16 to 55 are level 1, 56 to 87 level 2."""
    codes = [bytes((0xA0 + row, 0xA0 + cell)) for row in range(first_row, last_row + 1) for cell in range(1, 95)]
    return [char for code in codes if (char := code.decode("gb2312", "ignore"))]


def draw_characters(chars: list[str], font: ImageFont.FreeTypeFont) -> np.ndarray:
    """Return (n_chars, pixels) float32 drawings, blurred so that slightly shifted strokes still match."""
    rows = []
    for char in chars:
        image = Image.new("L", (SIZE, SIZE))
        ImageDraw.Draw(image).text((SIZE // 2, SIZE // 2), char, fill=255, font=font, anchor="mm")
        rows.append(np.asarray(image.filter(ImageFilter.GaussianBlur(BLUR)), dtype=np.float32).ravel())
    return np.stack(rows)


def make_table() -> str:
    """Return the contents of lookalikes.tsv."""
    font = ImageFont.truetype(str(distribution(PACKAGE).locate_file(FILE)), SIZE - 4)
    targets, rare = list_gb2312(16, 55), list_gb2312(56, 87)
    pixels = draw_characters(targets + rare, font)
    pixels -= pixels.mean(axis=0)
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    cosine = pixels @ pixels[: len(targets)].T
    lines = []
    for i, char in enumerate(targets + rare):
        # rounded, so that the last bit of a sum decides nothing
        near = sorted(((-round(float(c), 3), j) for j, c in enumerate(cosine[i]) if j != i and c >= MIN_COSINE))[
            :MAX_SIMILAR
        ]
        if near:
            lines.append("\t".join([char, "".join(targets[j] for _, j in near)]))
    return "\n".join(lines) + "\n"


def main() -> int:
    text = make_table()
    if "--check" in sys.argv[1:]:
        same = TABLE.read_text(encoding="utf-8") == text
        print(f"{TABLE.name} is {'what' if same else 'NOT what'} this script makes")
        return 0 if same else 1
    TABLE.write_text(text, encoding="utf-8")
    print(f"wrote {TABLE.name}: {text.count(chr(10))} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
