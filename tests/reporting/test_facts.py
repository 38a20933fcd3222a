"""What a report tells, against runs counted by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.dataset.samples import ENTRY, KEPT, SINGLE, dropped, iteration, kept
from tests.reporting.run_files import manifest, write_run

from codeclm.auditing.audit import AUDIT
from codeclm.dataset.outcomes import example_row, row_line
from codeclm.edits import Edit, add_edit, digest_of, now
from codeclm.errors import RunDirectoryError
from codeclm.evaluating.evaluate import FOLDER
from codeclm.evaluating.results import EVALUATION
from codeclm.records import Entry, Metadata, Outcome
from codeclm.reporting import json_files
from codeclm.reporting.facts import Facts, Named, _student, read_facts
from codeclm.reporting.tally import SHOWN


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    return read_facts(write_run(tmp_path / "run"))


def test_outcomes_are_counted_by_how_they_ended(facts: Facts) -> None:
    assert facts.statuses == {"kept": 3, "discarded": 1, "failed": 2, "duplicate": 1, "surplus": 1}
    assert facts.instructions == 8
    assert facts.kept_by_iteration == {1: 2, 4: 1}
    assert facts.kept_target == 1


def test_gaps_are_those_that_decided_in_bins_of_half_a_point(facts: Facts) -> None:
    # Kept: 4, -6.25 and 9, which is the end of the scale; the others 1, 6, 6, and 0 of one that failed later.
    assert facts.gaps == {(-13, True): 1, (0, False): 1, (2, False): 1, (8, True): 1, (12, False): 2, (17, True): 1}
    assert facts.mean_gap == pytest.approx((4 + 6.25 + 9) / 3)


def test_names_of_examples_and_seeds_are_counted_whatever_their_case(facts: Facts) -> None:
    found = {one.name: (one.examples, one.seeds) for one in facts.use_cases.top}
    assert found == {"writing letters": (1, 2), "poems": (0, 1), "наука — 科学 🧪": (2, 0)}
    assert (facts.use_cases.distinct, facts.use_cases.examples, facts.use_cases.seeds) == (3, 3, 3)
    assert Named("tone", 1, 2) in facts.skills.top
    assert facts.pairs["writing letters", "brevity"] == (1, 2)
    assert facts.pairs["poems", "rhyme"] == (0, 1)  # neither the mixed entry nor the pair turned away
    assert ("poems", "tone") not in facts.pairs


def test_weak_spots_are_of_basic_instructions_kept_or_not(tmp_path: Path) -> None:
    outcomes = [kept(f"{n:06d}.0", iteration("Write.", (9, 9 - gap))) for n, gap in enumerate((4, 5, 6))]
    more = [dropped("discarded", iteration("Write.", (7, 7 - gap)), iteration("Again.", (9, 1))) for gap in (1, 2)]
    # Gaps 4, 5, 6, 1, 2: the mean is 3.6, the deviation 2.0736, Student's quantile for 4 degrees 2.7764.
    facts = read_facts(write_run(tmp_path, outcomes, more, []))
    assert {one.skill for one in facts.weak} == {"tone", "brevity"}
    assert (facts.weak[0].count, facts.weak[0].gap) == (5, 3.6)
    assert facts.weak[0].interval == pytest.approx((3.6 - 2.5747, 3.6 + 2.5747), abs=0.003)


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (5, 2.5706), (6, 2.4469), (10, 2.2281)],
)
def test_students_quantile_is_that_of_the_tables(freedom: int, quantile: float) -> None:
    assert _student(freedom) == pytest.approx(quantile, rel=0.001)


def test_levels_are_of_all_that_came_to_an_iteration(facts: Facts) -> None:
    assert [(one.iteration, one.instructions) for one in facts.levels] == [(1, 7), (2, 2), (3, 1), (4, 1)]
    assert facts.levels[1].words == pytest.approx((5 + 4) / 2)  # "Explain tides to a sailor.", "Write a long letter."


def test_failures_are_told_by_cause_with_the_first_of_each(facts: Facts) -> None:
    assert [(one.cause, one.count, one.shown.id) for one in facts.causes] == [
        ("refused", 2, "000009"),
        ("unparseable", 2, "000003.2"),
    ]
    assert facts.causes[0].shown.raw == "No."


def test_the_case_has_the_most_iterations_then_the_widest_gap(tmp_path: Path, facts: Facts) -> None:
    assert facts.case == KEPT[1]
    first, wide = iteration("Write.", (8, 7)), iteration("Write more.", (10, 1))
    twice = [kept("a", first, iteration("Write more.", (9, 4))), kept("b", first, wide), kept("c", first, wide)]
    long = kept("d", first, first, iteration("x " * 1000, (10, 1)))
    assert read_facts(write_run(tmp_path, [*twice, long])).case == twice[1]
    assert read_facts(write_run(tmp_path, [long])).case == long


def test_the_sample_goes_by_turns_through_the_use_cases_and_depends_on_no_order(tmp_path: Path) -> None:
    def example(number: int, use_case: str) -> Outcome:
        entry = Entry("m0", Metadata(use_case, ()))
        return kept(f"{number:06d}.0", iteration(f"Write {number}.", (9, 4)), entry=entry)

    outcomes = [example(n, "many" if n % 10 else f"rare {n}") for n in range(60)]
    sample = read_facts(write_run(tmp_path, outcomes)).sample
    assert len(sample) == SHOWN
    assert [one.entry.metadata.use_case for one in sample].count("many") == 4
    assert len({one.entry.metadata.use_case for one in sample}) == 7
    again = read_facts(write_run(tmp_path, outcomes[::-1])).sample
    assert again == sample


def test_what_a_person_dropped_is_not_shown_and_what_they_wrote_is(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    for number, (action, answer) in enumerate((("drop", None), ("edit", "A better answer."))):
        outcome = KEPT[number]
        add_edit(run, Edit(outcome.id, action, None, answer, digest_of(outcome), now()))  # type: ignore[arg-type]
    facts = read_facts(run)
    assert (facts.edits.edits, facts.edits.edited, facts.edits.dropped) == (2, 1, 1)
    assert KEPT[0].id not in {outcome.id for outcome in facts.sample}
    assert "A better answer." in {outcome.final.kept.text for outcome in facts.sample}
    assert facts.statuses["kept"] == 3


def test_files_beside_a_run_that_cannot_be_read_are_told_and_no_reason_to_tell_nothing(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    (run / "audit.json").write_text('{"examples": "many"}')
    (run / "evaluation.json").write_text("{")
    facts = read_facts(run)
    assert facts.audit is None
    assert facts.evaluations == ()
    assert ["audit.json" in facts.unread[0], "examples" in facts.unread[0]] == [True, True]
    assert "evaluation.json" in facts.unread[1]


@pytest.mark.parametrize("size", [json_files.EVALUATIONS + 3])
def test_evaluations_are_read_from_their_folders_and_a_page_has_room_for_so_many(tmp_path: Path, size: int) -> None:
    run = write_run(tmp_path)
    for number in range(size):
        folder = run / FOLDER / "vicuna" / f"m{number:02d}-vs-strong"
        folder.mkdir(parents=True)
        row = {
            "benchmark": "vicuna",
            "candidate": f"m{number:02d}",
            "reference": "strong",
            "wins": 1,
            "ties": 2,
            "losses": 3,
        }
        (folder / EVALUATION).write_text(json.dumps(row))
    found = read_facts(run).evaluations
    assert [one.candidate for one in found] == [f"m{number:02d}" for number in range(json_files.EVALUATIONS)]


def test_the_names_of_files_are_those_that_are_written() -> None:
    assert (json_files.AUDIT, json_files.EVALUATION, json_files.FOLDER) == (AUDIT, EVALUATION, FOLDER)


def test_examples_alone_have_facts_and_an_empty_folder_has_none(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="no run here"):
        read_facts(tmp_path)
    (tmp_path / "examples.jsonl").write_bytes(row_line(example_row(SINGLE)))
    facts = read_facts(tmp_path)
    assert (facts.manifest, facts.statuses["kept"], facts.use_cases.seeds) == (None, 1, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"use_case": 5}, {"skills": "tone"}, {"skills": [3]}, {"history": []}, {"history": [{"gap": 1}]}, {"id": None},
        {"history": [{"instruction": ["a"], "gap": 1}]}, {"history": [{"instruction": "a", "gap": 1e308}]},
        {"history": [{"instruction": "a", "gap": "1"}]},
    ],
)  # fmt: skip
def test_a_row_that_no_run_wrote_is_named_with_its_line(tmp_path: Path, changes: dict[str, object]) -> None:
    run = write_run(tmp_path)
    row = json.loads(row_line(example_row(SINGLE))) | changes
    with (run / "examples.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    with pytest.raises(RunDirectoryError, match=r"examples\.jsonl:4: not a row that a run wrote"):
        read_facts(run)


def test_a_manifest_of_another_kind_is_refused_by_the_key(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    (run / "manifest.json").write_text(json.dumps(manifest(counts={"kept": "three"})))
    with pytest.raises(RunDirectoryError, match=r"manifest\.json: counts\.kept"):
        read_facts(run)


def test_dollars_are_those_of_the_dearest_price_and_none_where_one_is_unknown() -> None:
    row = {"stage": "judge", "model": "m", "calls": 1, "prompt_tokens": 2_000_000, "completion_tokens": 1_000_000}
    known = {"model": "m", "usd": 1.0, "price": {"input": "1", "output": "2.5", "source": "x"}}
    dear = {"model": "m", "usd": 1.0, "price": {"input": "3", "output": "2", "source": "x"}}
    unknown = {"model": "m", "usd": None, "price": None}

    def dollars(*spending: Mapping[str, object]) -> float | None:
        found = json_files.Manifest.model_validate(manifest(calls=[row], spending=spending))
        return found.dollars(found.calls[0])

    assert dollars(known) == 4.5
    assert dollars(known, dear) == 8.5
    assert dollars(known, unknown) is None
    assert dollars() is None


def test_a_run_that_was_replaced_by_a_shorter_one_is_told_by_its_files(tmp_path: Path) -> None:
    facts = read_facts(write_run(tmp_path, [SINGLE], [], [], counts={"kept": 40}))
    assert facts.statuses["kept"] == 1
    assert facts.case == SINGLE
    assert facts.sample == (SINGLE,)
    assert ENTRY.metadata.use_case == facts.use_cases.top[0].name
