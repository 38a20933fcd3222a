"""Asking simulated models codeclm's prompts without a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from codeclm.prompts.templates import render
from codeclm.simulator import SimulatedModel
from codeclm.simulator.world import reply

Ask = Callable[..., Any]


def _text(model: SimulatedModel, prompt: str, form: str, seed: int, fields: dict[str, Any]) -> str:
    content = render(prompt, form, fields)[0].content  # type: ignore[arg-type]
    return reply(model, [{"role": "user", "content": content}], temperature=0.7, seed=seed)


@pytest.fixture(scope="session")
def ask() -> Ask:
    """``ask(model, prompt, seed=0, **fields)``: the JSON reply, parsed."""
    return lambda model, prompt, seed=0, **fields: json.loads(_text(model, prompt, "json", seed, fields))


@pytest.fixture(scope="session")
def ask_text() -> Ask:
    """``ask_text(model, prompt, seed=0, **fields)``: the plain-text reply."""
    return lambda model, prompt, seed=0, **fields: _text(model, prompt, "text", seed, fields)
