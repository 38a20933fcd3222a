"""Encode: from a seed instruction to its metadata (section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

from codeclm.clients.ask import ask
from codeclm.clients.protocol import Client
from codeclm.config import MethodConfig
from codeclm.dataset.encode_examples import shown_for
from codeclm.prompts import questions
from codeclm.records import EncodeExample, Metadata, Seed


async def encode(
    seed: Seed, *, strong: Client, settings: MethodConfig, examples: Sequence[EncodeExample] = ()
) -> Metadata:
    """The seed's use case and its skills, at most ``max_skills`` (3 in the paper), within the user's bounds if any.

    ``examples`` are shown in the place of the prompt's own, but for one that is the seed itself.
    Raises CallFailed when the strong model gave no usable reply.
    """
    bounds = {"use_cases": settings.use_cases, "skills": settings.skills}
    if shown := shown_for(seed.instruction, examples):
        question = questions.encode_like(seed.instruction, shown, max_skills=settings.max_skills, **bounds)
    else:
        question = questions.encode(seed.instruction, max_skills=settings.max_skills, **bounds)
    return await ask(strong, question, temperature=settings.temperature)
