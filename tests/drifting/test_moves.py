"""What changed and what is covered, on sides made by hand."""

from __future__ import annotations

from codeclm.drifting.coverage import Coverage, coverage
from codeclm.drifting.encoded import Encoded, encoded
from codeclm.drifting.moves import LISTED, Move, moves
from codeclm.records import Metadata


def instruction(id: str, use_case: str, *skills: str) -> Encoded:
    return encoded(id, f"text of {id}", Metadata(use_case, skills))


SEEDS = [
    instruction("s1", "Letters", "tone", "Brevity"),
    instruction("s2", "letters", "tone"),
    instruction("s3", "poems", "rhyme"),
    instruction("s4", "poems", "rhyme", "tone"),
]
TRAFFIC = [
    instruction("t1", "LETTERS", "Tone", "tone"),
    instruction("t2", "letters", "tone", "brevity"),
    instruction("t3", "letters", "brevity"),
    instruction("t4", "trips", "maps"),
    instruction("t5", "trips", "tone"),
]


def test_names_are_new_vanished_grown_and_shrunk_with_counts_and_instructions_of_the_right_side() -> None:
    t, s = TRAFFIC, SEEDS
    found = moves("use_cases", t, s, {"letters": 7})
    assert found.new == (Move("trips", 2, 0, 0, (t[3], t[4])),)
    assert found.vanished == (Move("poems", 0, 2, 0, (s[2], s[3])),)
    assert found.grown == (Move("letters", 3, 2, 7, (t[0], t[1], t[2])),)
    assert found.shrunk == ()
    skills = moves("skills", t, s, {})
    assert [one.name for one in skills.new] == ["maps"]
    assert [one.name for one in skills.vanished] == ["rhyme"]
    assert [(one.name, one.traffic, one.known) for one in skills.grown] == [("brevity", 2, 1)]
    # A share of the instructions: 3 of 5 are fewer than 3 of 4.
    assert [(one.name, one.traffic, one.known) for one in skills.shrunk] == [("tone", 3, 3)]
    assert skills.shrunk[0].shown == (s[0], s[1], s[3])


def test_long_lists_are_clipped_and_counted_and_an_instruction_is_shown_thrice_at_most() -> None:
    many = [instruction(f"t{n}", f"case {n:03}", "tone") for n in range(LISTED + 5)]
    found = moves("use_cases", many, SEEDS, {})
    assert (len(found.new), found.new_count, found.new[0].name) == (LISTED, LISTED + 5, "case 000")
    assert len(moves("skills", many, SEEDS, {}).grown[0].shown) == 3


def test_an_instruction_is_covered_where_its_use_case_and_all_its_skills_occur() -> None:
    found = coverage(TRAFFIC, {"letters"}, {"tone", "maps"})
    # t1 alone: brevity is missing of t2 and t3, the use case of t4 and t5.
    assert found == Coverage(covered=1, instructions=0.2, use_cases=0.6, skills=round(4 / 6, 6))
    assert not found.enough
    assert coverage(TRAFFIC, {"letters", "trips"}, {"tone", "maps", "brevity"}).enough


def test_without_metadata_or_traffic_there_is_no_coverage() -> None:
    assert coverage(TRAFFIC, (), ()) == Coverage(0, None, None, None)
    assert coverage([], {"letters"}, {"tone"}) == Coverage(0, None, None, None)
    assert not coverage([], {"letters"}, {"tone"}).enough
