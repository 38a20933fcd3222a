"""A method is three parts: where instructions come from, what makes them harder, what compares the answers.

:data:`METHODS` is the table of them. A part is a plain async function of the models and the method's settings; see the
three protocols for what each is given and owes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Protocol

from codeclm.clients.protocol import Client
from codeclm.config import MethodConfig
from codeclm.records import Entry, Instruction, Iteration, Slot
from codeclm.stages.contrastive_filter import contrast
from codeclm.stages.decode import decode
from codeclm.stages.self_rubrics import improve


class Source(Protocol):
    """Basic instructions of a slot, in a fixed order."""

    async def __call__(self, slot: Slot, *, strong: Client, settings: MethodConfig) -> tuple[str, ...]:
        """Raises CallFailed when the slot gives none."""


class Tailor(Protocol):
    """A harder instruction from one that did not pass."""

    async def __call__(
        self, instruction: Instruction, entry: Entry, *, strong: Client, settings: MethodConfig, rng: random.Random
    ) -> Instruction:
        """``rng`` is the item's own; no other randomness may be used. Raises CallFailed."""


class Filter(Protocol):
    """Both answers to an instruction and how they compare."""

    async def __call__(
        self, instruction: Instruction, *, strong: Client, target: Client, judge: Client, settings: MethodConfig
    ) -> Iteration:
        """Raises CallFailed."""


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table."""

    source: Source
    tailor: Tailor
    filter: Filter


METHODS: dict[str, Method] = {
    "codeclm": Method(source=decode, tailor=improve, filter=contrast),
}
