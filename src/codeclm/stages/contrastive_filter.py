"""Contrastive Filtering: both models answer, the judge scores, and the gap decides (section 3.3)."""

from __future__ import annotations

from codeclm.clients.ask import answer, together
from codeclm.clients.protocol import Client
from codeclm.config import MethodConfig
from codeclm.judge import compare
from codeclm.records import Instruction, Iteration


async def contrast(
    instruction: Instruction, *, strong: Client, target: Client, judge: Client, settings: MethodConfig
) -> Iteration:
    """Both models' answers to the instruction and how they compare. Raises CallFailed.

    An answer cut off by the token limit is judged as it stands, for it is what the model does; it is never kept.
    """
    strong_answer, target_answer = await together(
        answer(strong, instruction.text, temperature=settings.answer_temperature, stage="strong_answer"),
        answer(target, instruction.text, temperature=settings.answer_temperature, stage="target_answer"),
    )
    comparison = await compare(
        instruction.text, strong_answer, target_answer, judge=judge, temperature=settings.judge_temperature
    )
    return Iteration(instruction, strong_answer, target_answer, comparison)
