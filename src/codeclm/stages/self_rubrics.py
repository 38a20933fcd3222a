"""Self-Rubrics: what makes an entry's instructions difficult, and making one harder by it (section 3.2)."""

from __future__ import annotations

import random

from codeclm.clients.ask import ask
from codeclm.clients.protocol import Client
from codeclm.config import MethodConfig
from codeclm.prompts import questions
from codeclm.records import Entry, Instruction, Rubric


async def write_rubrics(entry: Entry, *, strong: Client, settings: MethodConfig) -> tuple[Rubric, ...]:
    """The entry's rubrics (4 in the paper), each with its action; the same question, so asked once per entry.

    Raises CallFailed.
    """
    question = questions.rubrics(entry.metadata, settings.rubrics)
    return await ask(strong, question, temperature=settings.temperature)


async def improve(
    instruction: Instruction, entry: Entry, *, strong: Client, settings: MethodConfig, rng: random.Random
) -> Instruction:
    """A more demanding instruction by ONE action drawn at random from the entry's, so that actions don't get mixed up.

    Raises CallFailed.
    """
    action = rng.choice(await write_rubrics(entry, strong=strong, settings=settings)).action
    question = questions.improve(instruction.text, entry.metadata, action)
    return Instruction(await ask(strong, question, temperature=settings.temperature), action)
