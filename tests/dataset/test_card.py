"""The dataset card: a head the Hub can read, the run's numbers, and no markup from models or users."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.dataset.samples import MANIFEST

from codeclm.dataset.card import dataset_card, escape

ROWS = [
    {"id": "1", "use_case": "letters", "skills": ["tone", "brevity"]},
    {"id": "2", "use_case": "letters", "skills": ["tone"]},
    {"id": "3", "use_case": "maths", "skills": ["proof"]},
]


def changed(**values: Any) -> dict[str, Any]:
    return {**copy.deepcopy(MANIFEST), **values}


def head(card: str) -> dict[str, Any]:
    opened, values, _ = card.split("---\n", 2)
    assert opened == ""
    loaded = yaml.safe_load(values)
    assert isinstance(loaded, dict)
    return loaded


def test_the_head_tells_the_hub_what_to_load() -> None:
    values = head(dataset_card(MANIFEST, ROWS))
    (features,) = values.pop("dataset_info")
    assert features["config_name"] == "examples"
    assert {"name": "seed_ids", "list": "string"} in features["features"]
    assert values == {
        "task_categories": ["text-generation"],
        "size_categories": ["n<1K"],
        "tags": ["codeclm", "synthetic", "instruction-tuning"],
        "configs": [
            {"config_name": "examples", "data_files": "examples.jsonl", "default": True},
            {"config_name": "preferences", "data_files": "preferences.jsonl"},
        ],
    }


@pytest.mark.parametrize(("size", "category"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10_000, "10K<n<100K")])
def test_the_size_is_that_of_the_examples_read_once(size: int, category: str) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        for _ in range(size):
            yield ROWS[0]

    card = dataset_card(MANIFEST, rows())
    assert head(card)["size_categories"] == [category]
    assert f"\n{size:,} examples, each" in card


@pytest.mark.parametrize(
    "line",
    [
        "| seeds | 175 |",
        "| discarded, the scores being too close | 1,009 |",
        "| of these made by mixing | 60 |",
        "| kept at iteration 2 | 3 |\n| kept at iteration 10 | 1 |",
        "| failed: auth | 1 |\n| failed: timeout | 2 |",
        "| mean gap of the examples, whichever answer was better | 4.26 |",
        "| answers kept from the target model | 1 (25%) |",
        "| use case (2 in all) | examples |\n| --- | --- |\n| letters | 2 |\n| maths | 1 |",
        "| skill (3 in all) | examples |\n| --- | --- |\n| tone | 2 |\n| brevity | 1 |\n| proof | 1 |",
        "| encode | org/strong-9b | 175 | 123,456 | 789 | 13 |",
        "| target model | org/target&#95;1b |",
        "| threshold | 3.0 |\n| use&#95;cases | none |\n| skills | a, b |",
        "| config (sha256) | c0ffee |",
        "arXiv:2404.05875",
        'load_dataset("path/to/this/folder", "preferences", split="train")',
        "Check the terms of the strong model",
    ],
)
def test_the_card_says(line: str) -> None:
    assert line in dataset_card(MANIFEST, ROWS)


def test_an_empty_stopped_run_has_a_card_too() -> None:
    counts = dict.fromkeys(MANIFEST["counts"], 0)
    stopped = changed(
        state="stopped", counts=counts, mean_gap=None, kept_by_iteration={}, calls=[], kept_target_answers=0
    )
    card = dataset_card(stopped, [])
    assert "\n0 examples, each" in card
    assert "its state is stopped, and 3 examples were asked for" in card
    assert "mean gap" not in card
    assert "not complete" not in dataset_card(MANIFEST, ROWS)


@pytest.mark.parametrize("role", ["strong", "target", "judge"])
def test_a_simulated_model_is_warned_of(role: str) -> None:
    models = {**MANIFEST["models"], role: {"model": "simulated", "base_url": "simulator"}}
    warning = "simulated text: for rehearsal, not for training"
    card = dataset_card(changed(models=models), ROWS)
    assert warning in card
    assert "simulated" in head(card)["tags"]
    assert warning not in dataset_card(MANIFEST, ROWS)


def test_addresses_of_endpoints_stay_out() -> None:
    card = dataset_card(MANIFEST, ROWS)
    assert "secret.internal" not in card
    assert "127.0.0.1" not in card


ATTACKS = [
    "<script>alert(1)</script>",
    "[click](https://evil.example)",
    "![x](http://evil.example/pixel)",
    "www.evil.example",
    "`code` | cell | *bold* _it_ ~~no~~",
    "line\n\n# Heading\n---\nlicense: mit",
    "$$\\dangerous$$ &lt; &#60;",
    "\u202ereversed\x1b[31m\x00\ud800",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_untrusted_names_are_shown_as_they_are(attack: str) -> None:
    models = {"strong": {"model": attack, "base_url": "http://s"}, "target": {"model": attack, "base_url": "http://t"}}
    method = {"name": attack, attack: [attack]}
    calls = [{**MANIFEST["calls"][0], "stage": attack, "model": attack}]
    manifest = changed(models=models, method=method, calls=calls, failures_by_cause={attack: 1}, state=attack)
    card = dataset_card(manifest, [{"use_case": attack, "skills": [attack]}])
    plain = dataset_card(
        changed(
            models={role: {**model, "model": "x"} for role, model in models.items()},
            method={"name": "x", "x": ["x"]},
            calls=[{**calls[0], "stage": "x", "model": "x"}],
            failures_by_cause={"x": 1},
            state="x",
        ),
        [{"use_case": "x", "skills": ["x"]}],
    )
    for markup in ("<", "[", "](", "`", "*", "_", "~", "://", "|", "$", "\\", "\u202e", "\x1b", "\x00", "\n", "@"):
        assert card.count(markup) == plain.count(markup), markup
    assert "www." not in card
    assert head(card) == head(plain)
    card.encode()


@given(st.text())
def test_an_escaped_text_is_one_short_line_without_markup(text: str) -> None:
    escaped = escape(text)
    assert "\n" not in escaped
    assert not set(escaped) & set("<>[]()`*_|~$\\@:\"'{}!")
    assert len(escaped) <= 81 * len("&#000;")
    escaped.encode()


def test_escape_keeps_what_is_harmless() -> None:
    assert escape("org/Model-3.1  née 👩‍🚀") == "org/Model-3.1 née 👩‍🚀"
    assert escape("x" * 81) == "x" * 80 + "…"
