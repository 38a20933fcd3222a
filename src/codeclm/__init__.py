"""Instruction-tuning data tailored to one task and one target model: an open implementation of CodecLM.

``codeclm.run(config)`` makes a dataset; the stages are in :mod:`codeclm.stages`, one function each. Everything here is
imported when first used, so that ``import codeclm`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "RunConfig": "codeclm.config",
    "RunResult": "codeclm.generate",
    "load_config": "codeclm.api",
    "run": "codeclm.api",
    "run_async": "codeclm.api",
}

if TYPE_CHECKING:
    from codeclm.api import load_config, run, run_async
    from codeclm.config import RunConfig
    from codeclm.generate import RunResult

__all__ = ["RunConfig", "RunResult", "__version__", "load_config", "run", "run_async"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'codeclm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
