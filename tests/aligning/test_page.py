"""An alignment's page: it is made of its JSON alone, and leads to the reports of its rounds' runs and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.reporting.test_report import HOSTILE, Parsed

from codeclm.aligning.page import write_page
from codeclm.aligning.results import ALIGNMENT
from codeclm.errors import RunDirectoryError
from codeclm.reporting import drawing
from codeclm.reporting.ending import ALIGNMENT as NAMED

_DIFFERENCE = {"difference": -0.1, "interval": [-0.2, 0.0]}


def _alignment(**changes: Any) -> dict[str, Any]:
    scored = {"items": 40, "wins": 2, "ties": 20, "losses": 17, "invalid": 1}
    start = {"round": 0, "name": "start", "examples": None, "instructions": None, "trained_on": None, "loss": None}
    first = {"round": 1, "name": "round-1", "examples": 40, "instructions": 90, "trained_on": 40, "loss": [2.5, 1.25]}
    return {
        "codeclm": "0.1.0", "benchmark": "vicuna", "rule": "strict", "best": "round-1", "ended": "all rounds are done",
        "rounds": [
            start | scored | {"crr": 0.55, "crr_interval": [0.4, 0.7]},
            first | scored | {"crr": 0.65, "crr_interval": [0.5, 0.8]},
        ],
        "paired": [{"first": "start", "second": "round-1", "items": 39, "p": 0.0001} | _DIFFERENCE],
    } | changes  # fmt: skip


def _write(folder: Path, **changes: Any) -> Path:
    (folder / ALIGNMENT).write_text(json.dumps(_alignment(**changes)))
    return folder


def test_it_has_what_the_rounds_came_to(tmp_path: Path) -> None:
    (tmp_path / "round-1").mkdir()
    (tmp_path / "round-1" / "manifest.json").write_text("{}")
    [page] = write_page(_write(tmp_path))
    assert page.path == tmp_path / "alignment.html"
    assert page.runs == (tmp_path / "round-1",)
    content = page.path.read_text()
    parsed = Parsed(content)
    assert parsed.links() == {"#content", "./round-1/report.html"}
    for told in (
        "vicuna",
        "55.0%",
        "50.0% to 80.0%",
        "2.500 to 1.250",
        "-10.0 points",
        "< 0.001",
        "all rounds are done",
    ):
        assert told in parsed.text, told
    assert content.count("<svg") == 2
    assert write_page(tmp_path)[0].path.read_text() == content


def test_hostile_names_are_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "find_spec", lambda _: None)
    for text in HOSTILE:
        rounds = [_alignment()["rounds"][1] | {"name": text}]
        paired = [_alignment()["paired"][0] | {"first": text, "second": text}]
        named = {"benchmark": text, "best": text, "ended": text, "codeclm": text}
        page = write_page(_write(tmp_path, rounds=rounds, paired=paired, **named))[0].path.read_text()
        assert Parsed(page).links() == {"#content"}
        assert not {character for character in "\x00\x1b\u202e\u2028" if character in page}


@pytest.mark.parametrize("changes", [{"rounds": 1}, {"benchmark": None}, {"rounds": [{"name": "a"}]}])
def test_another_file_of_that_name_is_refused_by_the_key(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(RunDirectoryError, match=rf"alignment\.json: {next(iter(changes))}"):
        write_page(_write(tmp_path, **changes))


def test_where_nothing_was_aligned_there_is_no_page(tmp_path: Path) -> None:
    assert write_page(tmp_path) == []
    assert NAMED == ALIGNMENT
