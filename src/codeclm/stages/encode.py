"""Encode: from a seed instruction to its metadata (section 3.1)."""

from __future__ import annotations

from codeclm.clients.ask import ask
from codeclm.clients.protocol import Client
from codeclm.config import MethodConfig
from codeclm.prompts import questions
from codeclm.records import Metadata, Seed


async def encode(seed: Seed, *, strong: Client, settings: MethodConfig) -> Metadata:
    """The seed's use case and its skills, at most ``max_skills`` (3 in the paper), within the user's bounds if any.

    Raises CallFailed when the strong model gave no usable reply.
    """
    question = questions.encode(
        seed.instruction, max_skills=settings.max_skills, use_cases=settings.use_cases, skills=settings.skills
    )
    return await ask(strong, question, temperature=settings.temperature)
