"""What a new user starts from: the demo's configuration, and the commented one that `codeclm init` writes.

The comments are the descriptions in config.py, so the two can't differ.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Set
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from codeclm.config import SIMULATOR, BudgetConfig, EngineConfig, MethodConfig, ModelConfig, RunConfig
from codeclm.config_files import from_mapping
from codeclm.errors import InputError

_WIDTH = 100

_HEAD = """\
# codeclm run {name}     (values on the command line: --set size=50)

# The seed instructions: JSONL, JSON, CSV, Parquet, or text with one per line.
seeds: seeds.jsonl
# How many examples to make.
size: 100
# Where everything about the run is written. Run again with the same one to resume.
run_dir: runs/first
# The random seed of every choice the run makes.
seed: 0

models:
  # The strong model makes and judges the data. `simulator` needs nothing and is for rehearsal only. A real one:
  #   strong:
  #     model: gpt-4.1
  #     base_url: https://api.openai.com/v1
  #     api_key_env: OPENAI_API_KEY
  strong:
    model: strong
    base_url: simulator
{strong}
  # The target is the model you will fine-tune. One served here by vLLM, or by Ollama (http://127.0.0.1:11434/v1):
  #   target:
  #     model: meta-llama/Llama-3.2-1B-Instruct
  #     base_url: http://127.0.0.1:8000/v1
  target:
    model: target
    base_url: simulator
  # The judge is the strong model unless one is named here, with the same keys.
  # judge:

method:
{method}

# What the run may spend at most, from its first call on. It stops before it spends more; raise it to go on.
budget:
{budget}

engine:
  name: local

{run}
"""


def commented_config(name: str) -> str:
    """A configuration that runs as it is, every key of a model and of the method shown with its default."""
    strong = "\n".join(_lines(ModelConfig, "    ", skip={"model", "base_url"}, commented=True))
    method = "\n".join(_lines(MethodConfig, "  ", skip=set(), commented=False))
    budget = "\n".join(_lines(BudgetConfig, "  ", skip=set(), commented=False))
    run = "\n".join(_lines(RunConfig, "", skip=RunConfig.model_fields.keys() - {"metrics_port"}, commented=False))
    return _HEAD.format(name=name, strong=strong, method=method, budget=budget, run=run)


def _lines(section: type[BaseModel], indent: str, *, skip: Set[str], commented: bool) -> Iterator[str]:
    for name, field in section.model_fields.items():
        if name in skip:
            continue
        for line in textwrap.wrap(field.description or "", _WIDTH - len(indent) - 2):
            yield f"{indent}# {line}"
        yield f"{indent}{'# ' if commented else ''}{name}: {_value(field.get_default(call_default_factory=True))}"


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)  # which is YAML too, on one line


def write_starter(folder: Path, *, force: bool = False) -> list[Path]:
    """Write config.yaml and seeds.jsonl into ``folder``; refuses to overwrite either unless ``force``."""
    config, seeds = folder / "config.yaml", folder / "seeds.jsonl"
    there = [path for path in (config, seeds) if path.exists()]
    if there and not force:
        raise InputError(f"{there[0]}: is there already. Choose another folder, or overwrite it with --force.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(commented_config(str(config)), encoding="utf-8")
        seeds.write_bytes(bundled_seeds().read_bytes())
    except OSError as error:
        raise InputError(f"{folder}: can't write there ({error.strerror}). Choose another folder.") from None
    return [config, seeds]


def demo_config(run_dir: Path, size: int) -> RunConfig:
    """The main job on the embedded default: simulated models and the bundled seeds."""
    models = {name: {"model": name, "base_url": SIMULATOR} for name in ("strong", "target")}
    values = {"seeds": str(bundled_seeds()), "size": size, "run_dir": str(run_dir), "models": models}
    return from_mapping(values, folder=run_dir)


def bundled_seeds() -> Path:
    """The sample seeds that come with codeclm."""
    return Path(str(files("codeclm.bundled") / "seeds.jsonl"))


def configuration_page() -> str:
    """docs/configuration.md: every key, its default and its description."""
    sections: list[tuple[str, type[BaseModel], str]] = [
        ("The run", RunConfig, ""),
        ("A model: `models.strong`, `models.target`, `models.judge`", ModelConfig, ""),
        ("The method: `method`", MethodConfig, "method."),
        ("The budget: `budget`", BudgetConfig, "budget."),
        ("The engine: `engine`", EngineConfig, "engine."),
    ]
    head = (
        "# Configuration\n\nA YAML file; `codeclm init` writes a commented one. Any key can be set on the command "
        "line: `--set method.threshold=2`.\nPaths are taken from the folder the file is in. Unknown keys are refused.\n"
    )
    tables = ("\n".join([f"\n## {title}\n", *_rows(kind, prefix), ""]) for title, kind, prefix in sections)
    return head + "".join(tables)


def _rows(section: type[BaseModel], prefix: str) -> Iterator[str]:
    yield "| key | default | what it is |\n| --- | --- | --- |"
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            continue
        default = "required" if field.is_required() else f"`{_value(field.get_default(call_default_factory=True))}`"
        yield f"| `{prefix}{name}` | {default} | {field.description} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(configuration_page(), encoding="utf-8")
