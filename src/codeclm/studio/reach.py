"""What a run that is started from the studio reaches: whom it asks, with which secrets, and files that lie elsewhere.

A config may be anybody's: one that came with a run directory, or one that was pasted. Who starts it is told, before the
button, which addresses are sent texts, which variables of the environment are sent there, and which files outside the
runs folder are read. A config from a browser (run_forms.py) must not name such files at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from codeclm.config import SIMULATOR, RunConfig
from codeclm.config_models import ModelConfig
from codeclm.errors import ConfigError

_BUNDLED: Final = Path(__file__).parent.parent / "bundled"
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Asked:
    """An address that is sent texts: for which models, and the names of the variables whose values go with them."""

    address: str
    models: tuple[str, ...]
    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom a run asks, and which files outside the runs folder it reads or writes: (key, path)."""

    asked: tuple[Asked, ...]
    files: tuple[tuple[str, str], ...]


def reach_of(config: RunConfig, root: Path) -> Reach:
    """What the run of this config reaches, where ``root`` is the runs folder."""
    by_address: dict[str, list[tuple[str, ModelConfig]]] = {}
    for name, model in config.models.named.items():
        if model.base_url != SIMULATOR:
            by_address.setdefault(model.where, []).append((name, model))
    asked = (_asked(address, models) for address, models in by_address.items())
    files = ((key, str(path)) for key, path in _paths(config) if not _within(path, root))
    return Reach(tuple(asked), tuple(files))


def _asked(address: str, models: list[tuple[str, ModelConfig]]) -> Asked:
    variables = {variable for _, model in models for variable in _secrets(model)}
    return Asked(address, tuple(name for name, _ in models), tuple(sorted(variables)))


def check_from_browser(config: RunConfig, root: Path, own: Path | None) -> None:
    """Raise ConfigError where a config from a browser would read a file outside ``root``, or run a program or code.

    ``own`` is its seeds file, which the studio wrote itself. It looks at what came of the values: run_forms.py tells
    problems by key, and looks at the values as they were written, of which there are many ways.
    """
    terminal = "Write the config to a file and start it in a terminal with codeclm run."
    for key, path in _paths(config):
        if path != own and not _within(path, root):
            raise ConfigError(f"`{key}`: the studio takes only files in its runs folder. {terminal}")
    models = config.models.named_and_embedding | config.models.candidates
    for name in (name for name, model in models.items() if model.serve):
        raise ConfigError(f"`models.{name}.serve`: this starts a program. {terminal}")
    for kind in ("source", "tailor", "filter"):
        if ":" in (getattr(config.method, kind) or ""):
            raise ConfigError(f"`method.{kind}`: this runs code of your own. {terminal}")


def _secrets(model: ModelConfig) -> Iterator[str]:
    if model.api_key_env:
        yield model.api_key_env
    for value in model.headers.values():
        yield from _VARIABLE.findall(value)


def _paths(config: RunConfig) -> Iterator[tuple[str, Path]]:
    for key in ("seeds", "metadata", "general_seeds", "prompts", "encode_examples", "journal"):
        if path := getattr(config, key):
            yield key, path
    yield from (("test_sets", path) for path in config.test_sets)
    if config.training.chat_template:
        yield "training.chat_template", config.training.chat_template


def _within(path: Path, root: Path) -> bool:
    try:
        place = path.resolve()
    except (OSError, RuntimeError):
        return False
    return place.is_relative_to(root) or place.is_relative_to(_BUNDLED)
