"""The Python API: the same run as ``codeclm run``, as one function, with its report in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from codeclm.config import RunConfig
from codeclm.config_files import from_mapping, load
from codeclm.errors import CodecLMError, ConfigError
from codeclm.events import LOGGER
from codeclm.generate import RunResult, generate
from codeclm.progress import Progress
from codeclm.reporting.ending import began, refresh


def run(
    config: RunConfig | Mapping[str, Any] | str | Path, *, watch: Callable[[Progress], None] | None = None
) -> RunResult:
    """Make the dataset that ``config`` describes and return its run directory and manifest.

    ``config`` is a RunConfig, a mapping of the same keys, or the path of a YAML file. Paths in a mapping are taken from
    the current folder. Running the same config again resumes: nothing recorded is asked twice. ``watch`` is given the
    live Progress at the start. Raises :class:`~codeclm.errors.CodecLMError`; in a notebook, where an event loop runs
    already, ``await codeclm.run_async(config)`` instead.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run_async(config, watch=watch))
    raise ConfigError("codeclm.run: an event loop runs already, as in a notebook. Use: await codeclm.run_async(config)")


async def run_async(
    config: RunConfig | Mapping[str, Any] | str | Path, *, watch: Callable[[Progress], None] | None = None
) -> RunResult:
    """The same as :func:`run`, for use where an event loop runs already."""
    resolved = _resolved(config)
    try:
        result = await generate(resolved, watch=watch)
    except CodecLMError as error:
        if began(error):
            await _report(resolved.run_dir)
        raise
    await _report(resolved.run_dir)
    return result


async def _report(run_dir: Path) -> None:
    """Write the run's report; where that fails, the logger ``codeclm`` says so."""
    if problem := await asyncio.to_thread(refresh, run_dir):
        LOGGER.warning("%s", problem)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The configuration in a YAML file, with overrides such as ``method.threshold=2``. Raises ConfigError."""
    return load(Path(path), overrides)


def _resolved(config: RunConfig | Mapping[str, Any] | str | Path) -> RunConfig:
    if isinstance(config, RunConfig):
        return config
    if isinstance(config, str | Path):
        return load_config(config)
    return from_mapping(config, folder=Path.cwd())
