"""A dataset card with every kind of Markdown."""

CARD = """---
pretty_name: A
---

# Title

One *two*
**three** `four`.

## Known weaknesses

<!-- generated:counts -->
| a | b |
<!-- end:counts -->

- [first](x.md), which
  goes on
- second

What follows:

| page | publisher |
|---|---|
| `1` | none |

```sh
# not a heading
```

## Uses
"""
