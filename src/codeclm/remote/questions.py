"""What a run and its workers ask each other, beside requests to be sent (clients/elsewhere.py)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from codeclm.clients.http import Traits
from codeclm.config import MethodConfig, RunConfig
from codeclm.parts import KINDS, part_name
from codeclm.prompts.templates import Templates
from codeclm.records import ReplyForm, Request, Seed, Slot


@dataclass(frozen=True, slots=True)
class Opening:
    """What a worker is opened with.

    ``serves`` are the models it has a server of its own for, ``files`` those of the user's own parts, by
    :func:`files_of_parts` where the run is.
    """

    config: RunConfig
    templates: Templates
    general: tuple[Seed, ...]
    serves: frozenset[str]
    files: Mapping[str, str]


def files_of_parts(settings: MethodConfig) -> dict[str, str]:
    """The files that a method's parts are in, where the config names files, each with the SHA-256 of what it holds.

    One that can't be read is left out: whoever loads it says why.
    """
    digests = dict[str, str]()
    for kind in KINDS:
        path = (part_name(settings, kind) or "").rpartition(":")[0]
        if path.endswith(".py"):
            with suppress(OSError):
                digests[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return digests


@dataclass(frozen=True, slots=True)
class RunSlot:
    """The run asks for a slot's result. ``forms`` are the reply forms to ask the models for, by name."""

    slot: Slot
    forms: Mapping[str, ReplyForm]


@dataclass(frozen=True, slots=True)
class Complete:
    """A worker asks for a model's completion, for the work of the number ``turn``. ``number`` is the question's own."""

    model: str
    turn: int
    number: int
    request: Request


@dataclass(frozen=True, slots=True)
class SendOwn:
    """The run asks a worker to send the request of its own question of this number: it need not cross again."""

    model: str
    traits: Traits
    number: int


AS_READ = "as you read it"
"""The run's answer to a question whose completion is the one that this worker has read for it: nor need that."""


@dataclass(frozen=True, slots=True)
class AskAnew:
    """A worker asks whether a question whose replies were of no use is asked anew (Client.again)."""

    model: str
    failed: Request
    anew: Request
