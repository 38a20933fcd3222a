"""Configuration files: every mistake is told with its place and its remedy; what is written is read back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from codeclm.config import MethodConfig, RunConfig
from codeclm.config_files import differences, dump, from_mapping, load
from codeclm.errors import ConfigError

GOOD = """\
seeds: seeds.jsonl
run_dir: runs/one
models:
  strong:
    model: strong
    base_url: simulator
  target:
    model: target
    base_url: simulator
"""
Load = Callable[..., RunConfig]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """``loaded(text, *overrides)``: the configuration in a file of that text."""

    def loaded(text: str, *overrides: str) -> RunConfig:
        path = tmp_path / "run.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path, overrides)

    return loaded


def _said(loaded: Load, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(text, *overrides)
    return str(caught.value)


def test_relative_paths_are_taken_from_the_files_folder(
    loaded: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", "/home/me")
    config = loaded(GOOD)
    assert (config.seeds, config.run_dir, config.metadata) == (tmp_path / "seeds.jsonl", tmp_path / "runs/one", None)
    assert loaded(GOOD, "run_dir=../up").run_dir == tmp_path.parent / "up"
    assert loaded(GOOD, "run_dir=/abs").run_dir == Path("/abs")
    assert loaded(GOOD, "run_dir=~/mine").run_dir == Path("/home/me/mine")


# What is wrong, and where and how it is told.


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sizes: 5", "run.yaml:10: unknown key `sizes`. Did you mean `size`? Valid here: seeds, "),
        ("method: {treshold: 1}", "run.yaml:10: unknown key `method.treshold`. Did you mean `method.threshold`? Valid"),
        ("method:\n  rubric: 1", "run.yaml:11: unknown key `method.rubric`. Did you mean `method.rubrics`?"),
        ("engine: {qqq: 1}", "run.yaml:10: unknown key `engine.qqq`. Valid here: name, address, workers,"),
        ("max_in_flight: 5", "run.yaml:10: unknown key `max_in_flight`. Did you mean `models.strong.max_in_flight`?"),
        ("1: 5", "run.yaml:10: `1`: keys should be strings"),
        ("size: 0", "run.yaml:10: `size`: input should be greater than or equal to 1, not 0. (How many examples"),
        ("size: many", "run.yaml:10: `size`: expected a whole number, not 'many'"),
        ("method:\n  threshold: .nan", "run.yaml:11: `method.threshold`: input should be a finite number, not nan"),
        ("method: 3", "run.yaml:10: `method`: expected keys of its own"),
        ("engine: {name: spark}", "run.yaml:10: `engine.name`: input should be 'local' or 'ray', not 'spark'"),
        ("metadata: m.jsonl", "run.yaml: expected exactly one of `seeds`"),
        ("a: b: c", "run.yaml:10: not valid YAML: mapping values are not allowed here."),
        ("x: [1", "run.yaml:11: not valid YAML: "),
        ("x: !!python/object:os.system {}", "run.yaml:10: not valid YAML: "),
    ],
)
def test_a_mistake_is_told_with_its_line_and_key(loaded: Load, line: str, said: str) -> None:
    message = _said(loaded, f"{GOOD}{line}\n")
    assert said in message
    assert "\n" not in message


def test_a_key_in_the_wrong_section_is_told_where_it_belongs(loaded: Load) -> None:
    assert "Did you mean `method.threshold`?" in _said(loaded, f"{GOOD}threshold: 3\n")


@pytest.mark.parametrize(
    ("dropped", "said"),
    [
        ("run_dir: runs/one\n", "run.yaml: missing key `run_dir`: Where everything about the run is written."),
        ("    model: strong\n", "run.yaml:4: `models.strong`: expected `model`, the name that the endpoint"),
        ("seeds: seeds.jsonl\n", "run.yaml: expected exactly one of `seeds`"),
    ],
)
def test_a_missing_key_is_told_with_what_it_is_for(loaded: Load, dropped: str, said: str) -> None:
    assert said in _said(loaded, GOOD.replace(dropped, ""))


def test_all_mistakes_are_told_at_once(loaded: Load) -> None:
    said = _said(loaded, GOOD.replace("simulator", "nowhere") + "sise: 3\nmethod: {rubrics: 0}\n").splitlines()
    assert [re.findall(r"run\.yaml:(\d+)", line) for line in said] == [["6"], ["9"], ["11"], ["10"]]


@pytest.mark.parametrize("text", ["", "- a\n", "5\n", "hello\n", "# nothing\n", "null\n"])
def test_a_file_that_holds_no_keys_is_told_what_it_should_hold(loaded: Load, text: str) -> None:
    assert "run.yaml: expected keys and values such as `size: 500`" in _said(loaded, text)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff", b"size: 5\x01"])
def test_a_file_that_cannot_be_read_is_told_so(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "run.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"run\.yaml: (can't read the config|not valid YAML)"):
        load(path)
    with pytest.raises(ConfigError, match="can't read the config"):
        load(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "size: 2024-13-01",
        "size: !!int many",
        "size: !!float many",
        f"size: {'9' * 5000}",
        "extra: &a {itself: *a}",
        'run_dir: "a\\0b"',
        "run_dir: ~nobody-of-this-name/runs",
    ],
    ids=["no-such-day", "no-int", "no-float", "endless-int", "holds-itself", "nul-in-path", "no-such-home"],
)
def test_a_value_that_cannot_be_read_is_a_mistake_and_no_crash(loaded: Load, line: str) -> None:
    text = GOOD.replace("run_dir: runs/one\n", "") if line.startswith("run_dir") else GOOD
    assert "run.yaml" in _said(loaded, f"{text}{line}\n")


@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_a_configuration_or_a_mistake(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"any\.yaml"):
        load(path)


def test_a_secret_written_out_is_refused_and_not_repeated(loaded: Load) -> None:
    said = _said(loaded, GOOD + "    headers: {X-Api-Key: sk-live-123}\n")
    assert "run.yaml:10: `models.target.headers`: header X-Api-Key looks like a secret" in said
    assert "sk-live-123" not in said


# --set


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("size=7", "size", 7),
        ("method.threshold=2", "method.threshold", 2.0),
        ("method.skills=[a, b]", "method.skills", ("a", "b")),
        ("models.strong.model=a=b", "models.strong.model", "a=b"),
        ("models.target.extra_body.top_p=0.5", "models.target.extra_body", {"top_p": 0.5}),
        ("models.judge={model: j, base_url: simulator}", "models.judge.model", "j"),
        (" seed =3", "seed", 3),
        ("models.strong.api_key_env=", "models.strong.api_key_env", None),
    ],
)
def test_an_override_goes_on_top_of_the_file(loaded: Load, override: str, key: str, value: object) -> None:
    found: Any = loaded(GOOD, override)
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


def test_later_overrides_win(loaded: Load) -> None:
    assert loaded(GOOD, "size=7", "size=8").size == 8


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("size", "--set size: expected KEY=VALUE, for example"),
        ("=7", "--set =7: expected KEY=VALUE"),
        ("size=[", "--set size=[: the value is not valid YAML; quote it."),
        ("seeds.x=1", "--set seeds.x=1: `seeds` is a value, not a section"),
        ("method.treshold=1", "unknown key `method.treshold`. Did you mean `method.threshold`?"),
        ("size=abc", "--set size=abc: `size`: expected a whole number"),
        ("size=2024-13-01", "--set size=2024-13-01: "),
    ],
)
def test_a_bad_override_is_told(loaded: Load, override: str, said: str) -> None:
    assert said in _said(loaded, GOOD, override)


def test_a_bad_override_is_not_blamed_on_a_line_of_the_file(loaded: Load) -> None:
    assert "run.yaml:10" not in _said(loaded, f"{GOOD}size: 5\n", "size=abc")


def test_an_override_changes_no_other_section_that_the_file_shares_with_it(loaded: Load) -> None:
    shared = GOOD.replace("strong:", "strong: &shared") + "  judge: *shared\n"
    models = loaded(shared, "models.judge.model=other").models
    assert (models.judging.model, models.strong.model) == ("other", "strong")


# Round trip and differences

_texts = st.text(st.characters(codec="utf-8", exclude_characters="\x85"), max_size=12)
_plain = st.from_regex(r"\A[a-zA-Z0-9][ -+./-:a-zA-Z]{0,10}\Z")
_names = st.text(st.characters(codec="utf-8", exclude_characters="\x85"), min_size=1, max_size=12)
_paths = st.text(st.characters(codec="utf-8", exclude_characters="\0~\x85"), min_size=1, max_size=12)
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_models = st.fixed_dictionaries(
    {"model": _names, "base_url": st.sampled_from(["simulator", "http://127.0.0.1:8000/v1", "https://[::1]/v1"])},
    optional={
        "api": st.sampled_from(["chat", "completions"]),
        "api_key_env": st.none() | st.from_regex(r"\A[A-Z_]{1,8}\Z"),
        "max_in_flight": st.integers(1, 10_000),
        "timeout": st.floats(0.001, 86_400),
        "max_tokens": st.integers(1, 10**6),
        "retries": st.integers(0, 100),
        "reply_form": st.sampled_from(["auto", "json", "text"]),
        "extra_body": st.dictionaries(_texts.map(lambda text: f"x{text}"), _json, max_size=3),
        "headers": st.dictionaries(st.sampled_from(["X-One", "Referer"]), _plain) | st.just({"Authorization": "${A}"}),
        "template": _texts.map(lambda text: f"{text}{{instruction}}"),
        "stop": st.lists(_texts, max_size=3),
        "identity": st.none() | _texts,
    },
)
_methods = st.fixed_dictionaries(
    {},
    optional={
        "pool": st.integers(0, 10**6),
        "rubrics": st.integers(1, 50),
        "threshold": st.floats(0, 9),
        "temperature": st.floats(0, 2),
        "near_duplicates": st.floats(0.01, 1),
        "use_cases": st.lists(_plain, max_size=3),
        "skills": st.lists(_plain, max_size=3),
    },
)
_configs = st.builds(
    lambda source, path, rest: from_mapping({source: path} | rest, folder=Path("/somewhere")),
    st.sampled_from(["seeds", "metadata"]),
    _paths,
    st.fixed_dictionaries(
        {
            "run_dir": _paths,
            "models": st.fixed_dictionaries({"strong": _models, "target": _models}, optional={"judge": _models}),
        },
        optional={
            "size": st.integers(1, 10**9),
            "seed": st.integers(0, 2**63),
            "method": _methods,
            "seeds_field": _texts,
        },
    ),
)


@given(config=_configs)
def test_what_is_dumped_loads_as_the_same_configuration(
    config: RunConfig, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_text(dump(config), encoding="utf-8")
    assert load(path) == config
    assert differences(config, load(path)) == []


@pytest.mark.parametrize("character", ["\0", "\t", "\r", "\x1b", "\x85", "\u2028", "\ufeff", "\uffff", "\U0001f600"])
def test_an_odd_character_survives_the_dump(loaded: Load, character: str) -> None:
    for text in (character, f" a{character}b {character}"):
        config = from_mapping(yaml.safe_load(GOOD) | {"seeds_field": text}, folder=Path("/"))
        assert loaded(dump(config)) == config


@pytest.mark.parametrize("key", ["size", "method", "models", "engine"])
def test_a_dump_is_resolved_whole(loaded: Load, key: str) -> None:
    dumped = yaml.safe_load(dump(loaded(GOOD)))
    assert key in dumped
    assert set(dumped["method"]) == set(MethodConfig.model_fields)


@pytest.mark.parametrize(
    ("override", "differing"),
    [
        ("size=500", []),
        ("size=501", [("size", 500, 501)]),
        ("method.threshold=2", [("method.threshold", 3.0, 2.0)]),
        ("models.target.timeout=1", [("models.target.timeout", 120.0, 1.0)]),
        ("models.strong.extra_body={top_p: 1}", [("models.strong.extra_body", {}, {"top_p": 1})]),
        ("method.skills=[a]", [("method.skills", [], ["a"])]),
    ],
)
def test_differences_are_the_keys_whose_values_differ(
    loaded: Load, override: str, differing: list[tuple[str, Any, Any]]
) -> None:
    assert differences(loaded(GOOD), loaded(GOOD, override)) == differing


def test_a_model_more_differs_by_each_of_its_values(loaded: Load) -> None:
    with_judge = loaded(GOOD, "models.judge={model: j, base_url: simulator}")
    found = differences(loaded(GOOD), with_judge)
    assert ("models.judge.model", None, "j") in found
    assert all(key.startswith("models.judge.") and old is None for key, old, _ in found)
    assert [(key, new, old) for key, old, new in differences(with_judge, loaded(GOOD))] == found


def test_differences_can_be_ignored_by_path_or_for_every_model(loaded: Load) -> None:
    changed = loaded(GOOD, "size=1", "models.strong.timeout=1", "models.target.timeout=2", "models.target.retries=3")
    keys = [key for key, _, _ in differences(loaded(GOOD), changed, ignoring=frozenset({"size", "models.*.timeout"}))]
    assert keys == ["models.target.retries"]


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
        "a0: &a0 {a: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 9)),
        "a: &a {b: *a}",
        "&a [*a]",
    ],
)
def test_aliases_of_aliases_fill_no_memory(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    began = time.process_time()
    with pytest.raises(ConfigError, match="aliases"):
        load(path)
    assert time.process_time() - began < 2


def test_a_file_larger_than_a_config_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole: it takes no room
    with pytest.raises(ConfigError, match="larger than a config can be"):
        load(path)
