"""The start checkpoint: a small transformer that learns the world's skills from nothing, and half of them only partly.

What it sees is fixed before any method runs, and is the same for all of them:

- the notation, in which every skill is used, up to four steps and lists of up to six;
- instructions in words of the *fluent* skills, half of all, in every phrasing, but of one or two steps and short lists;
- rarely an instruction in words of one of the other, *latent* skills, and only in its first phrasing.

So it can do everything, but has yet to learn that people's words, many steps or long lists mean what it can do. This
is what instruction tuning is thought to bring out of large models.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.test_tube.skills import SKILLS
from benchmarks.test_tube.tokens import CONTEXT, tokenizer
from benchmarks.test_tube.world import USE_CASES, task

FLUENT: Final = tuple(SKILLS[::2])
LATENT: Final = tuple(SKILLS[1::2])

_NOTATION, _RARE = 0.6, 0.05
"""The share of exercises in the notation, and of those in words the share that is of latent skills."""

_ADAMW_RATE_ALONE: Final = ("embed_tokens", "lm_head", "norm")


@dataclass(frozen=True, slots=True)
class Size:
    """How large the target is and how long it is pre-trained."""

    hidden: int = 128
    layers: int = 4
    heads: int = 4
    steps: int = 1500
    batch: int = 64
    rate: float = 4e-3


def exercise(draws: random.Random) -> tuple[str, str]:
    """A prompt and its answer, drawn as pre-training has them."""
    use_case = draws.choice(USE_CASES)
    if draws.random() < _NOTATION:
        steps = draws.choice((1, 1, 2, 3, 4))
        drawn = task(use_case, draws.choices(SKILLS, k=steps), draws.randint(2, 6), draws)
        return drawn.notation(), drawn.answer()
    if draws.random() < _RARE:
        skill = draws.choice(LATENT)
        drawn = task(use_case, [skill], draws.randint(3, 4), draws)
        drawn = replace(drawn, phrasings=skill.phrasings[:1])
    else:
        drawn = task(use_case, draws.choices(FLUENT, k=draws.choice((1, 1, 2))), draws.randint(3, 4), draws)
    return drawn.text, drawn.answer()


def pretrain(folder: Path, size: Size, *, seed: int = 0, tell: Callable[[int, float], None] | None = None) -> None:
    """Pre-train and save the model and its tokenizer to ``folder``. ``tell`` is given each step's number and loss.

    The loss is of the answers alone: prompts are drawn at random, and there is nothing in them to learn.
    Muon (Jordan et al. 2024) for the matrices and AdamW for the rest: a third of AdamW's steps here.
    """
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(seed)
    words = tokenizer()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = _model(size, words).to(device)
    own = [p for name, p in model.named_parameters() if not any(part in name for part in _ADAMW_RATE_ALONE)]
    rest = [p for name, p in model.named_parameters() if any(part in name for part in _ADAMW_RATE_ALONE)]
    optimizers = (
        torch.optim.Muon(own, lr=size.rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=size.rate, betas=(0.9, 0.95), weight_decay=0.0),
    )
    batches = _batches(words, size.batch, random.Random(seed))
    for step in range(size.steps):
        rate = size.rate * min(1.0, (step + 1) / 50) * (1 - 0.95 * step / size.steps)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        ids, labels = next(batches)
        loss = model(input_ids=torch.tensor(ids, device=device), labels=torch.tensor(labels, device=device)).loss
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        if tell:
            tell(step + 1, loss.item())
    model.save_pretrained(folder)
    words.save_pretrained(folder)


def _model(size: Size, words: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words),
            hidden_size=size.hidden,
            intermediate_size=3 * size.hidden,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            num_key_value_heads=size.heads,
            max_position_embeddings=CONTEXT,
            bos_token_id=None,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
            tie_word_embeddings=True,
        )
    )


def _batches(words: Any, count: int, draws: random.Random) -> Iterator[tuple[list[list[int]], list[list[int]]]]:
    """Token ids and labels, padded to the longest of the batch; labels of prompts and padding are left out (-100)."""
    while True:
        rows = [_encoded(words, *exercise(draws)) for _ in range(count)]
        longest = max(len(prompt) + len(answer) for prompt, answer in rows)
        ids, labels = [], []
        for prompt, answer in rows:
            left = longest - len(prompt) - len(answer)
            ids.append([*prompt, *answer, *[words.pad_token_id] * left])
            labels.append([*[-100] * len(prompt), *answer, *[-100] * left])
        yield ids, labels


def _encoded(words: Any, prompt: str, answer: str) -> tuple[list[int], Sequence[int]]:
    asked = words.apply_chat_template([{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True)
    given = f"{answer} <|end|>"
    return words(asked, add_special_tokens=False)["input_ids"], words(given, add_special_tokens=False)["input_ids"]
