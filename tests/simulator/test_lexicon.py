"""The lexicon is consistent: what one table names, the other has, and no phrase hides another."""

from __future__ import annotations

import re
from itertools import pairwise

from codeclm.simulator.lexicon import skills, texts, use_cases
from codeclm.simulator.models import DEFAULT_WEAK_SKILLS
from codeclm.simulator.phrases import PhraseIndex, words
from codeclm.simulator.requirements import all_of, carried, claimed, facets

CLAUSES = [requirement.clause for name in skills() for requirement in all_of(name)]


def test_there_is_enough_of_everything() -> None:
    assert len(skills()) >= 40
    assert len(use_cases()) >= 25
    assert all(len(all_of(name)) >= 12 for name in skills())
    assert all(len(use_case.leads) >= 4 and len(use_case.triggers) >= 6 for use_case in use_cases().values())


def test_names_are_short_and_avoid_the_words_the_method_avoids() -> None:
    assert all(2 <= len(name.split()) <= 3 for name in skills())
    assert not [name for name in skills() if "skill" in name or "knowledge" in name]


def test_use_cases_and_the_default_target_name_known_skills() -> None:
    assert {name for use_case in use_cases().values() for name in use_case.skills} <= set(skills())
    assert set(DEFAULT_WEAK_SKILLS) <= set(skills())
    assert 0.2 < len(DEFAULT_WEAK_SKILLS) / len(skills()) < 0.3


def test_clauses_and_facets_are_unique_and_none_begins_with_another() -> None:
    ordered = sorted(" ".join(words(clause)) for clause in CLAUSES)
    assert not [pair for pair in pairwise(ordered) if (pair[1] + " ").startswith(pair[0] + " ")]
    names = [facet for name in skills() for facet in facets(name)]
    assert len(set(names)) == len(names)


def test_clauses_are_plain_imperatives_that_also_work_in_the_first_person() -> None:
    assert all(re.fullmatch(r"[a-z][a-z0-9 ]+", clause) for clause in CLAUSES)
    assert not [clause for clause in CLAUSES if {"you", "your", "me", "my"} & set(clause.split())]


def test_every_clause_is_found_where_it_stands_and_nowhere_else() -> None:
    for name in skills():
        for requirement in all_of(name):
            assert carried(f"Do it well. Please {requirement.clause}, will you?") == (requirement,)
            assert claimed(f"Here I {requirement.clause}, as asked.") == {requirement}
            assert not claimed(f"One could {requirement.clause}, but no.")


def test_the_pools_of_text_carry_no_requirement() -> None:
    sections = ("topics", "settings", "audiences", "occasions", "openings", "gists", "links", "tails", "fillers")
    pooled = [text for section in sections for text in texts(section)]
    pooled += [lead for use_case in use_cases().values() for lead in use_case.leads]
    assert not [text for text in pooled if carried(text) or claimed(text)]


def test_a_phrase_index_ignores_case_and_punctuation_and_prefers_the_longer_phrase() -> None:
    index = PhraseIndex({"give a date": 1, "give a date for it": 2, "sum": 3})
    assert index.find("Give, a DATE! Then sum; give a date for it. give a") == [1, 3, 2]
