"""A comparison's page: it is made of its JSON alone, and leads to the reports of its runs and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.comparing.test_pictures import made_of, row
from tests.reporting.test_report import HOSTILE, Parsed

from codeclm.comparing.page import write_pages
from codeclm.comparing.side_by_side import as_json
from codeclm.errors import RunDirectoryError
from codeclm.reporting import drawing


def _with_runs(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "manifest.json").write_text("{}")
    return folder


def test_it_has_what_the_rows_say_and_leads_to_the_runs_that_are_there(tmp_path: Path) -> None:
    folder = _with_runs(tmp_path, "codeclm", "metadata+rubrics", "elsewhere")
    made = made_of(row("codeclm"), row("metadata+rubrics", crr=0.75), row("gone", problem="nothing passed"))
    (folder / "comparison.json").write_bytes(as_json(replace(made, left_out=(("wizardlm", "no general seeds"),))))
    [page] = write_pages(folder)
    assert page.path == folder / "comparison.html"
    assert page.runs == (folder / "codeclm", folder / "metadata+rubrics")
    parsed = Parsed(page.path.read_text())
    assert parsed.links() == {"#content", "./codeclm/report.html", "./metadata%2Brubrics/report.html"}
    for told in ("12.5", "$0.25", "75.0%", "gone came to 10 of 10: nothing passed", "Left out: wizardlm"):
        assert told in parsed.text, told
    assert page.path.read_text().count("<svg") == 7
    before = page.path.read_bytes()
    assert write_pages(folder)[0].path.read_bytes() == before


@pytest.mark.parametrize(("name", "charts"), [("study-size", 5), ("study-metadata", 5), ("study-iterations", 1)])
def test_a_study_has_its_curves(tmp_path: Path, name: str, charts: int) -> None:
    rows = [row(f"size-{share}", share=share / 100, pairs=share, crr=share / 200) for share in (25, 50, 100)]
    (tmp_path / f"{name}.json").write_bytes(as_json(made_of(*rows, name=name)))
    [page] = write_pages(tmp_path)
    assert page.path.name == f"{name}.html"
    assert page.path.read_text().count("<svg") == charts
    Parsed(page.path.read_text())


def test_what_nothing_is_known_of_has_no_column(tmp_path: Path) -> None:
    made = made_of(replace(row("codeclm"), difficulty=None, cost=replace(row("a").cost, usd=None)))
    (tmp_path / "comparison.json").write_bytes(as_json(made))
    text = Parsed(write_pages(tmp_path)[0].path.read_text()).text
    assert "dollars" not in text
    assert "difficulty" not in text
    assert "calls per pair" in text


@pytest.mark.parametrize("name", ["..", "a/../../b", "/etc"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = _with_runs(tmp_path / "here", "a", "b")
    _with_runs(tmp_path, "b")
    (tmp_path / "manifest.json").write_text("{}")
    (folder / "comparison.json").write_bytes(as_json(made_of(row(name))))
    [page] = write_pages(folder)
    assert page.runs == ()
    assert Parsed(page.path.read_text()).links() == {"#content"}


def test_hostile_names_are_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "find_spec", lambda _: None)
    rows = [row(text, problem=text) for text in HOSTILE]
    (tmp_path / "comparison.json").write_bytes(as_json(made_of(*rows)))
    page = write_pages(tmp_path)[0].path.read_text()
    assert Parsed(page).links() == {"#content"}
    assert not {character for character in "\x00\x1b\u202e\u2028" if character in page}


@pytest.mark.parametrize("content", ["", "[]", '{"rows": 1}', '{"rows": [{}], "left_out": [], "calls": {}}'])
def test_another_file_of_that_name_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "comparison.json").write_text(content)
    with pytest.raises(RunDirectoryError, match="not what codeclm compare or study wrote"):
        write_pages(tmp_path)


def test_where_nothing_was_compared_there_is_no_page(tmp_path: Path) -> None:
    assert write_pages(tmp_path) == []
