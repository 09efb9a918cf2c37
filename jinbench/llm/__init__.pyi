from .envelopes import Reply
from .prompts import PromptSettings, make_prompts
from .replies import parse_replies

__all__ = ["PromptSettings", "Reply", "make_prompts", "parse_replies"]
