"""The target's tokenizer: a token for every word of the world, in lower case, and a chat template."""

from __future__ import annotations

import re
from typing import Any, Final

from benchmarks.test_tube.skills import SKILLS
from benchmarks.test_tube.world import JOINERS, KINDS, OPERATIONS, USE_CASES

CONTEXT: Final = 128
"""Tokens that a conversation has at most."""

_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|' + message.role + '|> ' -}}"
    "{%- if message.role == 'assistant' -%}"
    "{%- generation -%}{{- message.content + ' <|end|>' -}}{%- endgeneration -%}"
    "{%- else -%}{{- message.content + ' ' -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|> ' -}}{%- endif -%}"
)


def words() -> list[str]:
    """Every word and mark of the world, once, in a fixed order."""
    texts = [
        *(name for names in KINDS.values() for name in names),
        *OPERATIONS,
        *(phrasing for skill in SKILLS for phrasing in skill.phrasings),
        *(opening for use_case in USE_CASES for opening in use_case.openings),
        *JOINERS,
        "run on : ; , .",
    ]
    return list(dict.fromkeys(word for text in texts for word in re.findall(r"\w+|[^\w\s]", text.lower())))


def tokenizer() -> Any:
    """The tokenizer, as transformers has them. What the world does not have is one unknown word."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|pad|>", "<|end|>", "<|unknown|>", "<|user|>", "<|assistant|>"]
    vocabulary = {word: number for number, word in enumerate([*special, *words()])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<|unknown|>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+|[^\w\s]"), "removed", invert=True)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        unk_token="<|unknown|>",
        additional_special_tokens=["<|user|>", "<|assistant|>"],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = _TEMPLATE
    return fast
