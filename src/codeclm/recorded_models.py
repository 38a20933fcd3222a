"""Models that answer what they were asked before, from the journal, and nothing else: each call found is taken down.

The journal is only read, and a run may be writing it meanwhile. A request that is not recorded is a failed call, as
one is whose server gave no reply.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from codeclm.clients.protocol import Models
from codeclm.clients.protocol import models_of as models_of_run
from codeclm.config import RunConfig
from codeclm.config_models import ModelConfig
from codeclm.errors import CallFailed
from codeclm.journal import call_key, endpoint_key, traits_key, unpacked
from codeclm.journal_uses import runs_of
from codeclm.prompts.templates import Templates
from codeclm.records import Completion, Message, ReplyForm, Request, Usage

_CALL: Final = (
    "SELECT model, reply, finish_reason, prompt_tokens, completion_tokens, latency, made_at FROM calls WHERE key = ?"
)


@dataclass(frozen=True, slots=True)
class RawCall:
    """One recorded call, as it was asked and as it was answered.

    ``stage`` is what it was for, ``role`` whose part the model had: strong, target, judge, ensemble.NAME, jury.NAME.
    ``schema`` is the name of the JSON schema that the reply was to keep to, empty where there was none. ``made_at`` is
    in seconds since 1970. With a ``continuation`` it asked how likely that text is, and the reply is figures
    (clients/likelihood.py).
    """

    stage: str
    model: str
    role: str
    messages: tuple[Message, ...]
    temperature: float
    schema: str
    sample: int
    attempt: int
    completion: Completion
    made_at: float
    continuation: str = ""


class NotRecorded(CallFailed):
    """A call that the journal does not have."""

    cause = "not_recorded"


class Recording:
    """The journal as it is read here: every call that is found is taken down, once for each role it was asked in."""

    def __init__(self, db: sqlite3.Connection, path: Path, run_dir: Path) -> None:
        self.path = path
        self.calls: dict[tuple[str, bytes], RawCall] = {}
        self.lost = 0
        self._db = db
        self._run = runs_of(path).get(run_dir.resolve())

    def find(self, key: bytes, request: Request, role: str) -> Completion:
        """The reply to a request. Raises JournalError where its record is damaged."""
        row = self._db.execute(_CALL, (key,)).fetchone()
        if row is None:
            self.lost += 1
            raise NotRecorded("this call is not in the journal")
        model, reply, finish_reason, prompt_tokens, completion_tokens, latency, made_at = row
        text, reasoning, refusal = unpacked(reply, self.path)
        usage = Usage(prompt_tokens, completion_tokens)
        completion = Completion(text, finish_reason, usage, reasoning, refusal, latency)
        call = RawCall(
            stage=request.stage,
            model=model,
            role=role,
            messages=request.messages,
            temperature=request.temperature,
            schema=request.schema.name if request.schema else "",
            sample=request.sample,
            attempt=request.attempt,
            completion=completion,
            made_at=made_at,
            continuation=request.continuation,
        )
        self.calls.setdefault((role, key), call)
        return completion

    def asked(self, key: bytes) -> bool:
        """Whether the run had this call's answer; in a journal that several runs share, this run and not another."""
        if self._run is None:
            found = self._db.execute("SELECT 1 FROM calls WHERE key = ?", (key,))
        else:
            found = self._db.execute("SELECT 1 FROM uses WHERE key = ? AND run = ?", (key, self._run))
        return found.fetchone() is not None

    def form(self, model: ModelConfig) -> ReplyForm:
        """The reply form that the endpoint was asked for."""
        if model.reply_form != "auto":
            return model.reply_form
        row = self._db.execute("SELECT traits FROM endpoints WHERE key = ?", (traits_key(model),)).fetchone()
        try:
            learnt: dict[str, Any] = dict(orjson.loads(row[0])) if row else {}
        except (ValueError, TypeError):
            learnt = {}
        return "text" if learnt.get("response_format", "none") == "none" else "json"


class _Recorded:
    """A model that answers what it was asked before, and nothing else."""

    def __init__(self, model: ModelConfig, role: str, templates: Templates, recording: Recording) -> None:
        self.form = recording.form(model)
        self.templates = templates
        self.max_tokens = model.max_tokens
        self._config = model
        self._endpoint = endpoint_key(model)
        self._role = role
        self._recording = recording

    def opening(self, instruction: str) -> str:
        """As the config has it."""
        return self._config.opening(instruction)

    async def again(self, failed: Request, anew: Request) -> bool:
        """Whether the run asked anew."""
        return self._recording.asked(call_key(self._endpoint, anew))

    async def complete(self, request: Request) -> Completion:
        """The recorded completion."""
        return self._recording.find(call_key(self._endpoint, request), request, self._role)


def models_of(config: RunConfig, templates: Templates, recording: Recording) -> Models:
    """A run's models as they were asked; the judge is one of its own here, also where the strong model judges."""
    by_role = {"judge": config.models.judging} | config.models.named
    clients = {role: _Recorded(model, role, templates, recording) for role, model in by_role.items()}
    return models_of_run(config.models, clients)
