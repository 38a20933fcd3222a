"""The form of a new run: from what was typed to a configuration and back, and what is wrong with it, field by field.

Contract. A field is named by its key in the configuration, so that the form and the YAML beside it are the same thing.
A configuration from a browser is held to more than one from a terminal: its files lie in the runs folder, and nothing
in it runs a program or code. Nothing here reads a file of the configuration, or asks a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from codeclm.config_files import parse, problems
from codeclm.errors import ConfigError
from codeclm.run_directory import OWN_FILES

Values = dict[str, Any]

ROLES: Final = ("strong", "target", "judge")
BUDGET: Final = ("budget.usd", "budget.calls", "budget.tokens")
_OF_MODELS: Final = ("base_url", "model", "api_key_env", "price.input", "price.output")
KEYS: Final = (
    "size", "method.name", "method.threshold", "general_seeds",
    *(f"models.{role}.{key}" for role in ROLES for key in _OF_MODELS),
    *BUDGET,
)  # fmt: skip
"""The keys that have a field of their own."""

OTHERS: Final = ("view", "yaml", "name", "seeds_from", "seeds_file", "seeds_text", "seeds_field")
"""The fields that are no keys of the configuration as it is typed, but ``seeds_field``, which belongs to the seeds."""

LONGEST_YAML: Final = 50_000
"""Characters of a configuration in YAML."""

SUFFIXES: Final = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt")
"""Of files that may hold seeds."""

_NUMBERS: Final = {"size", "method.threshold", *BUDGET} | {key for key in KEYS if ".price." in key}
_PATHS: Final = ("seeds", "metadata", "general_seeds", "prompts", "encode_examples", "journal")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST_BRACKETS: Final = 300
_DEPTH: Final = 3
_MOST_FILES: Final = 300


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed, and what comes of it: values of a configuration, and what is wrong by field.

    ``general`` are the problems that no field has.
    """

    fields: Mapping[str, str]
    values: Values = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    general: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.errors and not self.general


def typed(fields: Mapping[str, str], root: Path) -> Typed:
    """What a form comes to whose runs folder is ``root``."""
    errors: dict[str, str] = {}
    general: list[str] = []
    if problem := wrong_name(fields.get("name", ""), root):
        errors["name"] = problem
    as_yaml = fields.get("view") == "yaml"
    try:
        values, places = read_yaml(fields.get("yaml", "")) if as_yaml else (nested(fields), {})
    except ConfigError as problem_of_yaml:
        return Typed(fields, {}, errors | {"yaml": str(problem_of_yaml)})
    found = list(out_of_reach(values, root))
    if not found:
        whole = values | {"run_dir": "run"} | ({} if "metadata" in values else {"seeds": "seeds.jsonl"})
        where = "as YAML"
        told = problems(whole, name=where, places=places)
        found = [(one.key, f"{one.where.removeprefix('as ')}: {one.said}" if as_yaml else one.said) for one in told]
    for key, said in found:
        at = "yaml" if as_yaml else field_of(key)
        if at is None:
            general.append(said)
        else:
            errors[at] = f"{errors[at]}\n{said}" if at in errors else said
    return Typed(fields, values, errors, tuple(general))


def nested(fields: Mapping[str, str]) -> Values:
    """The fields that were filled in, as values of a configuration."""
    values: Values = {}
    for key in KEYS:
        text = fields.get(key, "").strip()
        if text:
            *sections, last = key.split(".")
            place = values
            for section in sections:
                place = place.setdefault(section, {})
            place[last] = _number(text) if key in _NUMBERS else text
    models = values.setdefault("models", {})
    for role in ("strong", "target"):
        models.setdefault(role, {})  # so that what is missing is told of its own keys
    return values


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A configuration's values as fields of the form. Raises ConfigError where one has no field there."""
    fields: dict[str, str] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and any(known.startswith(f"{key}.") for known in KEYS):
            fields |= flat(value, f"{key}.")
        elif key not in KEYS or isinstance(value, list | Mapping):
            raise ConfigError(f"`{key}` has no field in the form. Take it out, or go on with the YAML.")
        elif value is not None:
            fields[key] = str(value)
    return fields


def as_yaml(values: Mapping[str, Any]) -> str:
    """Values as YAML, in the order they have."""
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)


def read_yaml(text: str) -> tuple[Values, dict[tuple[str, ...], str]]:
    """The values in YAML from a browser, and the line of each. Raises ConfigError."""
    if len(text) > LONGEST_YAML:
        raise ConfigError(f"The YAML has {len(text):,} characters; at most {LONGEST_YAML:,} are taken.")
    if text.count("[") + text.count("{") > _MOST_BRACKETS:  # the time to read them grows with the square of their depth
        raise ConfigError(f"The YAML has more than {_MOST_BRACKETS} brackets. Write lists with a line for each entry.")
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ConfigError("The YAML repeats a part by an alias (*name). Write it out.")
    except (yaml.YAMLError, ValueError, RecursionError):
        pass  # told by what reads it
    return parse(text, "line")


def out_of_reach(values: Mapping[str, Any], root: Path) -> Iterator[tuple[str, str]]:
    """What a configuration from a browser must not hold: the key, and what to do instead."""
    terminal = "Write the config to a file and start it in a terminal with codeclm run."
    if "run_dir" in values:
        yield "run_dir", "`run_dir`: leave it out. The run's name above says where it is written."
    if "seeds" in values:
        yield "seeds", "`seeds`: leave it out. Choose the seeds above."
    models = values.get("models")
    for key in _serving(models, "models", 2):
        yield key, f"`{key}`: this starts a program, which the studio does not do for a browser. {terminal}"
    method = values.get("method")
    for kind in ("source", "tailor", "filter"):
        if isinstance(method, Mapping) and ":" in str(method.get(kind)):
            said = (
                f"`method.{kind}`: this runs code of your own, which the studio does not do for a browser. {terminal}"
            )
            yield f"method.{kind}", said
    for key, value in _paths(values):
        if not _inside(value, root):
            yield key, f"`{key}`: the studio takes only files in its runs folder. {terminal}"


def _serving(models: object, key: str, depth: int) -> Iterator[str]:
    if isinstance(models, Mapping):
        for name, value in models.items():
            if name == "serve" and value is not None:
                yield f"{key}.serve"
            elif depth:
                yield from _serving(value, f"{key}.{name}", depth - 1)


def _paths(values: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Every path in the values, with its key."""
    yield from ((key, values[key]) for key in _PATHS if values.get(key) is not None)
    sets = values.get("test_sets")
    yield from (("test_sets", path) for path in (sets if isinstance(sets, list | set) else [sets] if sets else []))
    training = values.get("training")
    if isinstance(training, Mapping) and training.get("chat_template") is not None:
        yield "training.chat_template", training["chat_template"]


def _inside(value: object, root: Path) -> bool:
    """Whether a path leads into the folder, by whatever links; one that is no path is told by who reads it."""
    if not isinstance(value, str):
        return True
    try:
        return (root / Path(value).expanduser()).resolve().is_relative_to(root)
    except (OSError, ValueError, RuntimeError):
        return False


def field_of(key: str) -> str | None:
    """The field that a problem with a key is shown beside; None where none is near."""
    if key in KEYS:
        return key
    below = key.split(".")
    while below:
        near = next((known for known in KEYS if known.startswith(f"{'.'.join(below)}.")), None)
        if near and len(below) > 1:
            return near
        below.pop()
    return None


def wrong_name(name: str, root: Path) -> str:
    """Why no new run can have this name; empty where one can."""
    if not name:
        return "Give the run a name: its folder below the runs folder."
    if not _NAME.fullmatch(name) or name.endswith(".partial"):
        return "Use letters, digits, dot, _ and -, beginning with a letter or digit; at most 64 of them."
    if (root / name).exists() or (root / name).is_symlink():
        return "There is a folder or file of this name already. Choose another, or go on with that run on its page."
    return ""


def free_name(root: Path) -> str:
    """A name that no run has yet."""
    number = 1
    while (root / f"run-{number}").exists():
        number += 1
    return f"run-{number}"


def seed_files(root: Path) -> dict[str, Path]:
    """The files below the runs folder that may hold seeds, by their place there. Links are not followed."""
    found: dict[str, Path] = {}
    for path in _files(root, _DEPTH):
        if path.suffix.lower() in SUFFIXES and path.name not in OWN_FILES:
            found[path.relative_to(root).as_posix()] = path
        if len(found) >= _MOST_FILES:
            break
    return dict(sorted(found.items()))


def _files(folder: Path, depth: int) -> Iterator[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return
    for path in inside:
        if path.is_symlink() or path.name.startswith("."):
            continue
        if path.is_file():
            yield path
        elif depth and path.is_dir():
            yield from _files(path, depth - 1)


def _number(text: str) -> int | float | str:
    """The number that was typed, as YAML would have it; the text where it is none."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
