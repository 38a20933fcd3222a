"""Reading and writing configurations: YAML text and ``a.b=value`` overrides in, a RunConfig out, and back.

Owns every message about a configuration: :func:`load` raises :class:`~codeclm.errors.ConfigError` with the file, line,
key, what was expected and the nearest valid name. Relative paths are taken from the configuration file's folder.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import orjson
import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from codeclm.config import RunConfig
from codeclm.config_models import ModelConfig, ModelsConfig, ServeConfig
from codeclm.config_training import given
from codeclm.errors import ConfigError
from codeclm.weights import with_weights

_LARGEST = 2**20  # characters of a file
_MOST_NEAREST = 50  # problems that are told with the nearest valid key: looking for it takes milliseconds
_MOST_BITS = 1_000  # of a whole number
_MOST_NODES = 100_000  # values and keys, those that aliases repeat counted each time

_PATHS = ("seeds", "metadata", "general_seeds", "prompts", "encode_examples", "journal", "run_dir")
_MODELS_BY_NAME = ("ensemble", "jury", "candidates")

KeyPath = tuple[str, ...]
Places = Mapping[KeyPath, str]
"""Where each key was given: ``file:line`` or the override."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one key, by its full path; empty where it is about the whole.

    ``where`` is as in Places, ``about`` the key's description where that helps.
    """

    key: str
    where: str
    said: str
    about: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.said}" + (f" ({self.about})" if self.about else "")


def load(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The configuration in ``path`` with ``overrides`` (each ``a.b=value``, the value in YAML) applied on top."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_LARGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't read the config ({error}). `codeclm init` writes a commented one.") from None
    if len(text) > _LARGEST:
        raise ConfigError(f"{path}: larger than a config can be ({_LARGEST:,} characters). Is it one?")
    values, places = parse(text, str(path))
    for override in overrides:
        places[_apply(values, override)] = f"--set {override}"
    return from_mapping(values, folder=path.parent, name=str(path), places=places)


def from_mapping(
    values: Mapping[str, Any], *, folder: Path, name: str = "config", places: Places | None = None
) -> RunConfig:
    """A validated configuration from plain values; relative paths are taken from ``folder``."""
    try:
        config = RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(map(str, _explain(error, name, places or {})))) from None
    try:
        orjson.dumps(config.model_dump(mode="json"), option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name}: holds a value that can't be written down: {error}.") from None
    named = {key: path for key in _PATHS if (path := getattr(config, key))}
    try:
        paths: dict[str, Any] = {key: (folder / path.expanduser()).resolve() for key, path in named.items()}
        paths["test_sets"] = tuple((folder / path.expanduser()).resolve() for path in config.test_sets)
        if template := config.training.chat_template:
            own = {"chat_template": (folder / template.expanduser()).resolve()}
            paths["training"] = config.training.model_copy(update=own)
    except (ValueError, RuntimeError, OSError) as error:
        raise ConfigError(
            f"{name}: one of the paths {', '.join(map(repr, map(str, (*named.values(), *config.test_sets))))}: {error}."
        ) from None
    method = {
        kind: _beside(folder, part) for kind in ("source", "tailor", "filter") if (part := getattr(config.method, kind))
    }
    paths["models"] = _with_weights(config.models, folder, name)
    return config.model_copy(update={**paths, "method": config.method.model_copy(update=method)})


def problems(values: Mapping[str, Any], *, name: str = "config", places: Places | None = None) -> list[Problem]:
    """All that is wrong with plain values, key by key; none where they are a configuration. Reads no file."""
    try:
        RunConfig.model_validate(values)
    except ValidationError as error:
        return list(_explain(error, name, places or {}))
    return []


def _with_weights(models: ModelsConfig, folder: Path, name: str) -> ModelsConfig:
    """The models with what is served here found in ``folder``, and known by its content."""

    def known(model: ModelConfig, key: str) -> ModelConfig:
        if model.serve is None:
            return model
        served = _served(model.serve, folder, f"{name}: models.{key}.serve")
        return model if served == model.serve else model.model_copy(update={"serve": served})

    found: dict[str, Any] = {}
    for role in type(models).model_fields:
        value = getattr(models, role)
        if isinstance(value, ModelConfig):
            found[role] = known(value, role)
        elif value:
            found[role] = {own: known(model, f"{role}.{own}") for own, model in value.items()}
    return models.model_copy(update=found)


def _served(serve: ServeConfig, folder: Path, where: str) -> ServeConfig:
    """What is served, by its path and content where it is a file or folder; a digest that is there already is kept.

    Such a digest is what a run began with: its record is read the same when the weights have changed or are gone.
    """
    command = tuple(serve.command)
    if command and "/" in command[0]:
        command = (str(Path(os.path.abspath(folder / Path(command[0]).expanduser()))), *command[1:])
    try:
        path = (folder / Path(serve.model).expanduser()).resolve()
        if not path.exists():
            looks = serve.model.startswith(("/", "./", "../", "~"))
            if looks and not serve.weights:
                raise ConfigError(f"{where}.model: {path} does not exist. Name a folder of weights, a file or a model.")
            return serve.model_copy(update={"command": command})
        found = serve.model_copy(update={"command": command, "model": str(path)})
        return found if serve.weights else with_weights(found)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{where}.model: can't read the weights ({error}).") from None


def _beside(folder: Path, part: str) -> str:
    """A part of the user's own whose module lies in the config's folder, named by its file; any other as it is."""
    module, colon, function = part.rpartition(":")
    if not colon:
        return part
    file = module if module.endswith(".py") else f"{module.replace('.', '/')}.py"
    path = (folder / Path(file).expanduser()).resolve()
    return f"{path}:{function}" if path.is_file() else part


def dump(config: RunConfig) -> str:
    """The resolved configuration as YAML; it holds no secret, and loading it gives the same configuration.

    Of the training, what differs from its preset: `codeclm train --preset` can then choose another one.
    """
    values = config.model_dump(mode="json") | {"training": given(config.training)}
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    # Some line separators come back changed unless everything is escaped.
    return text if yaml.safe_load(text) == values else yaml.safe_dump(values, sort_keys=False)


def differences(
    old: RunConfig, new: RunConfig, *, ignoring: frozenset[str] = frozenset()
) -> list[tuple[str, Any, Any]]:
    """The keys in which two configurations differ, each with its old and new value.

    ``ignoring`` names keys by their full path or, for a key of every model, by ``models.*.key``.
    """
    before, after = dict(_leaves(old.model_dump(mode="json"))), dict(_leaves(new.model_dump(mode="json")))
    differing = []
    for key in sorted(before.keys() | after.keys()):
        parts = key.split(".")
        named = 3 if parts[0] == "models" and parts[1] in _MODELS_BY_NAME else 2
        anywhere = ".".join(["models", "*", *parts[named:]]) if parts[0] == "models" else key
        if before.get(key) != after.get(key) and not {key, anywhere} & ignoring:
            differing.append((key, before.get(key), after.get(key)))
    return differing


def parse(text: str, name: str) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """The values in YAML text, and where each was given. Raises ConfigError that calls the text ``name``."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if _nodes(node, {}) > _MOST_NODES:
            raise ConfigError(f"{name}: aliases (*name) repeat more than a config can hold. Write out what is meant.")
        values = _unshared(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f":{where.line + 1}" if where else ""
        raise ConfigError(f"{name}{line}: not valid YAML: {getattr(error, 'problem', None) or error}.") from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"{name}: expected keys and values such as `size: 500`. `codeclm init` writes a commented one."
        )
    return values, {key: f"{name}:{line}" for key, line in _lines(node, ())}


def _nodes(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many nodes there are when every alias is written out; ``known`` are those counted. Endless is very many.

    A few lines of aliases of aliases, or of merges of merges, would otherwise come to more than any memory holds.
    """
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = _MOST_NODES  # what holds itself
        inner = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        known[id(node)] = min(_MOST_NODES + 1, 1 + sum(_nodes(part, known) for part in inner))
    return known[id(node)]


def _unshared(value: Any) -> Any:
    """The value with nothing in it twice, so that an override changes one place; RecursionError if it holds itself."""
    if isinstance(value, dict):
        return {key: _unshared(inner) for key, inner in value.items()}
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise ValueError("a number of more digits than any value here has")  # and than can be written down again
    return [_unshared(inner) for inner in value] if isinstance(value, list) else value


def _lines(node: yaml.Node | None, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            yield here, key.start_mark.line + 1
            yield from _lines(value, here)


def _apply(values: dict[str, Any], override: str) -> KeyPath:
    """Set what an override says, and return the key it sets."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override}: expected KEY=VALUE, for example --set method.threshold=2.")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError(f"--set {override}: the value is not valid YAML; quote it.") from None
    *sections, last = key.strip().split(".")
    for section in sections:
        inner = values.get(section)
        if inner is None:
            inner = values[section] = {}
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: `{section}` is a value, not a section with keys of its own.")
        values = inner
    values[last] = value
    return (*sections, last)


_EXPECTED = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "expected a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "expected a number"),
    **dict.fromkeys(("tuple_type", "list_type"), "expected a list such as [a, b]"),
    **dict.fromkeys(("dict_type", "model_type"), "expected keys of its own"),
    **dict.fromkeys(("string_type", "path_type"), "expected a text"),
}


def _explain(error: ValidationError, name: str, places: Places) -> Iterator[Problem]:
    for number, problem in enumerate(error.errors()):
        path = tuple(str(part) for part in problem["loc"])
        where = next((places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places), name)
        key, about = ".".join(path), ""
        if problem["type"] == "extra_forbidden":
            said = f"unknown key `{key}`." + (_nearest(path) if number < _MOST_NEAREST else "")
        elif problem["type"] == "missing":
            said = f"missing key `{key}`: {_described(path)}"
        else:
            message = _EXPECTED.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
            shown = path and path[-1] != "api_key_env" and not isinstance(problem["input"], dict)
            given = f", not {problem['input']!r:.80}" if shown else ""
            about = _described(path)
            said = f"{f'`{key}`: ' if key else ''}{message[0].lower()}{message[1:]}{given}."
        yield Problem(key, where, said, about)


def _nearest(path: KeyPath) -> str:
    section = _section(path[:-1])
    valid = list(section.model_fields) if section else []
    close = difflib.get_close_matches(path[-1], valid, n=1, cutoff=0.5)
    elsewhere = [key for key in known_keys() if key.split(".")[-1] == path[-1]]
    nearest = elsewhere[0] if elsewhere else ".".join((*path[:-1], close[0])) if close else ""
    meant = f" Did you mean `{nearest}`?" if nearest else ""
    return f"{meant} Valid here: {', '.join(valid)}." if valid else meant


def known_keys(section: type[BaseModel] = RunConfig, prefix: str = "") -> Iterator[str]:
    """Every key of the configuration by its full path, sections included."""
    for name, field in section.model_fields.items():
        yield prefix + name
        inner = _model_of(field)
        if inner:
            yield from known_keys(inner, f"{prefix}{name}.")


def _section(path: KeyPath) -> type[BaseModel] | None:
    section: type[BaseModel] | None = RunConfig
    for part in path:
        field = section.model_fields.get(part) if section else None
        section = _model_of(field) if field else None
    return section


def _field(path: KeyPath) -> FieldInfo | None:
    section = _section(path[:-1]) if path else None
    return section.model_fields.get(path[-1]) if section else None


def _described(path: KeyPath) -> str:
    field = _field(path)
    return (field.description or "") if field else ""


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and key not in ("extra_body", "headers"):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
