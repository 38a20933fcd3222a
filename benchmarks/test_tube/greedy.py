"""A checkpoint's greedy answers: the same to the same prompt, whatever else is in its batch and however it is padded.

A sum's last bits hang on the shapes of a batch. So everything is computed in float64, also what transformers leaves in
float32, and the token taken is the first of those whose logits, to a millionth, are highest. What is left to chance is
a logit within some 1e-13 of where rounding turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from codeclm.errors import InputError

DECIMALS: Final = 6
"""Digits after the point to which logits are told apart."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation in tokens, and how many an answer may have."""

    tokens: Sequence[int]
    limit: int


class Greedy:
    """A model and its tokenizer, as transformers saved them to ``folder``.

    Raises InputError for a folder that holds none, or a model that is no plain Llama.
    """

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float64)
        except (OSError, ValueError) as error:
            raise InputError(f"{folder}: no checkpoint could be loaded ({error})") from error
        if model.config.model_type != "llama" or model.config.rope_parameters["rope_type"] != "default":
            raise InputError(f"{folder}: only plain Llama models are served, since only these are exact here")
        self._model = model.double().eval()
        self._context = int(model.config.max_position_embeddings)
        self._end = int(self._tokenizer.eos_token_id)
        _all_in_float64(self._model, self._context)

    def prompt(self, messages: Sequence[Mapping[str, str]], limit: int | None) -> Prompt:
        """A conversation to be answered in ``limit`` tokens, or in as many as the context has left.

        Raises ValueError where it has none.
        """
        text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        tokens = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        if (left := self._context - len(tokens)) < 1:
            raise ValueError(f"the context has {self._context} tokens, the messages have {len(tokens)}")
        return Prompt(tokens, left if limit is None else min(limit, left))

    def text(self, tokens: Sequence[int]) -> str:
        """Tokens of an answer in words. Special ones stay visible, since they are mistakes there."""
        return str(self._tokenizer.decode(tokens))

    def answers(self, prompts: Sequence[Prompt]) -> list[tuple[list[int], bool]]:
        """The tokens of each answer, and whether it came to its end within its limit."""
        import torch

        with torch.inference_mode():
            return self._answers(prompts)

    def _answers(self, prompts: Sequence[Prompt]) -> list[tuple[list[int], bool]]:
        import torch
        from transformers import DynamicCache

        longest = max(len(prompt.tokens) for prompt in prompts)
        ids = torch.tensor([[self._end] * (longest - len(each.tokens)) + list(each.tokens) for each in prompts])
        first = torch.tensor([longest - len(prompt.tokens) for prompt in prompts])
        mask = (torch.arange(longest) >= first[:, None]).long()
        places = (mask.cumsum(1) - 1).clamp(min=0)
        cache = DynamicCache()
        found: list[tuple[list[int], bool]] = [([], False) for _ in prompts]
        rows = list(range(len(prompts)))
        while rows:
            logits = self._model(
                input_ids=ids, attention_mask=mask, position_ids=places, past_key_values=cache, logits_to_keep=1
            ).logits[:, -1]
            best = logits.round(decimals=DECIMALS).argmax(-1)
            left = [at for at, row in enumerate(rows) if self._goes_on(found, row, int(best[at]), prompts[row].limit)]
            if len(left) < len(rows):
                rows, best, mask, places = [rows[at] for at in left], best[left], mask[left], places[left]
                cache.batch_select_indices(torch.tensor(left, dtype=torch.long))
            ids, places = best[:, None], places[:, -1:] + 1
            mask = torch.cat((mask, torch.ones_like(ids)), 1)
        return found

    def _goes_on(self, found: list[tuple[list[int], bool]], row: int, token: int, limit: int) -> bool:
        """Whether a row's answer goes on after ``token``, which is noted with it."""
        tokens, _ = found[row]
        if token == self._end:
            found[row] = tokens, True
            return False
        tokens.append(token)
        return len(tokens) < limit


def _all_in_float64(model: Any, context: int) -> None:
    """Replace what transformers computes in float32 whatever the type of the weights: norms, and angles of places."""
    import torch

    for module in model.modules():
        match type(module).__name__:
            case "LlamaRMSNorm":
                module.forward = partial(
                    torch.nn.functional.rms_norm,
                    normalized_shape=module.weight.shape,
                    weight=module.weight,
                    eps=module.variance_epsilon,
                )
            case "LlamaRotaryEmbedding":
                angles = torch.outer(torch.arange(context).double(), module.inv_freq.double()).repeat(1, 2)
                module.forward = partial(_turned, angles.cos(), angles.sin())


def _turned(cosines: Any, sines: Any, _hidden: Any, position_ids: Any) -> tuple[Any, Any]:
    return cosines[position_ids], sines[position_ids]
