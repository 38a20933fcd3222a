"""`codeclm report`, and the report that commands leave, as a user sees them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.reporting.run_files import write_run
from tests.running import codeclm, rows, write_config

ON = {"CODECLM_REPORT": ""}


def test_it_says_what_it_wrote(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [], [], [], calls=[])
    done = codeclm("report", run)
    assert (done.status, done.out.split()) == (0, ["wrote", str(run / "report.html")])
    done = codeclm("report", "--json", run)
    assert json.loads(done.out) == {"event": "done", "written": [str(run / "report.html")]}


def test_what_cannot_be_told_of_keeps_no_other_back(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [], [], [], calls=[])
    done = codeclm("report", tmp_path / "none", run)
    assert done.status == 2
    assert "no run here" in done.error
    assert (run / "report.html").exists()


@pytest.mark.slow
def test_a_run_leaves_one_and_names_it(tmp_path: Path) -> None:
    done = codeclm("run", write_config(tmp_path, "simulator", size=5), env=ON)
    assert done.status == 0, done
    assert "report.html" in done.out
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Simulated text: for rehearsal" in page
    assert len(page) > 50_000
    before = (tmp_path / "run" / "manifest.json").read_bytes()
    assert codeclm("report", tmp_path / "run").status == 0
    assert (tmp_path / "run" / "report.html").read_text() == page
    assert (tmp_path / "run" / "manifest.json").read_bytes() == before


@pytest.mark.slow
def test_a_run_out_of_budget_leaves_one_and_keeps_its_exit_status(tmp_path: Path) -> None:
    done = codeclm("run", write_config(tmp_path, "simulator", size=40, budget={"calls": 400}), env=ON)
    assert done.status == 3, done
    page = (tmp_path / "run" / "report.html").read_text()
    assert "The run was stopped before its end" in page
    assert "The budget is used up" in page


def test_a_report_that_fails_is_one_line_and_the_run_is_as_good(tmp_path: Path) -> None:
    config = write_config(tmp_path, "simulator", size=5)
    assert codeclm("run", config).status == 0
    (tmp_path / "run" / "edits.jsonl").write_text("no edit\n{}\n")
    done = codeclm("run", config, env=ON)
    assert done.status == 0, done
    assert done.out.count("No report was written") == 1
    assert len(rows(tmp_path / "run" / "examples.jsonl")) == 5
    done = codeclm("run", config, "--json", env=ON)
    assert [json.loads(line)["event"] for line in done.out.splitlines()][-2:] == ["note", "done"]


def test_one_that_is_switched_off_is_not_written(tmp_path: Path) -> None:
    assert codeclm("run", write_config(tmp_path, "simulator", size=3), env={"CODECLM_REPORT": "off"}).status == 0
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_run_that_never_began_leaves_none(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    done = codeclm("run", write_config(tmp_path, "simulator", size=3), env=ON)
    assert done.status == 2, done
    assert not (run / "report.html").exists()


@pytest.mark.slow
def test_audits_and_evaluations_renew_it(tmp_path: Path) -> None:
    config = write_config(tmp_path, "simulator", size=8)
    assert codeclm("run", config).status == 0
    assert codeclm("audit", tmp_path / "run", env=ON).status == 0
    assert "What the audit measured" in (tmp_path / "run" / "report.html").read_text()
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"instruction": f"Write a letter about {n} rivers."}) + "\n" for n in range(4)))
    done = codeclm("evaluate", config, "--benchmark", items, "--candidate", "target", env=ON)
    assert done.status == 0, done
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Capacity Recovery Ratio" in page
    assert "What the audit measured" in page


@pytest.mark.slow
def test_a_comparison_has_a_page_and_each_of_its_runs_a_report(tmp_path: Path) -> None:
    config = write_config(tmp_path, "simulator", size=6)
    done = codeclm("compare", config, "--methods", "codeclm,metadata+rubrics", "--measure", "3", env=ON)
    assert done.status == 0, done
    assert "comparison.html, comparison.json" in " ".join(done.out.split())
    page = (tmp_path / "run" / "comparison.html").read_text()
    assert 'href="./metadata%2Brubrics/report.html"' in page
    assert (tmp_path / "run" / "metadata+rubrics" / "report.html").exists()
    assert (tmp_path / "run" / "codeclm" / "report.html").exists()
    assert page.count("<svg") == 6
    before = (tmp_path / "run" / "comparison.html").read_bytes()
    assert codeclm("report", tmp_path / "run").status == 0
    assert (tmp_path / "run" / "comparison.html").read_bytes() == before
