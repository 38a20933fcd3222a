"""manifest.json: what a run was, how far it came, and what it made of its calls, as plain values."""

from __future__ import annotations

import hashlib
from typing import Any

from codeclm import __version__
from codeclm.config import ModelConfig, RunConfig
from codeclm.config_files import dump
from codeclm.journal import Journal, as_row, traits_key
from codeclm.progress import Progress


def build_manifest(
    config: RunConfig, inputs_sha256: str, progress: Progress, journal: Journal, state: str
) -> dict[str, Any]:
    """The manifest of a run in ``state``: running, complete, stopped or failed.

    ``examples`` is the number of rows in examples.jsonl, which after an early end may come from an earlier run.
    ``calls`` counts every call recorded in the journal since the directory was made, by stage and model.
    """
    models = {"strong": config.models.strong, "target": config.models.target, "judge": config.models.judging}
    return {
        "codeclm": __version__,
        "state": state,
        "size": config.size,
        "examples": progress.published,
        **progress.summary(),
        "models": {name: _model(model, journal) for name, model in models.items()},
        "method": config.method.model_dump(mode="json"),
        "seed": config.seed,
        "calls": [as_row(total) for total in journal.totals()],
        "config_sha256": hashlib.sha256(dump(config).encode()).hexdigest(),
        "inputs_sha256": inputs_sha256,
        "seeds_sha256": inputs_sha256,
    }


def _model(model: ModelConfig, journal: Journal) -> dict[str, Any]:
    """A model, and how it turned out to want to be asked: which parameters were not sent, the form of its replies."""
    return {"model": model.model, "base_url": model.base_url, "traits": journal.traits(traits_key(model))}
