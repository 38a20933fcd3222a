"""The skills of the world: what each does to a list, and the ways in which people ask for it.

A list is of items of one kind (letters, months ...), each standing for its rank, so that every skill works on every
kind. ``operation`` is the skill's one word in the notation; phrasings are how instructions ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

Ranks = tuple[int, ...]
Apply = Callable[[Ranks, int], Ranks]
"""From the ranks of a list's items and the number of items of that kind to the ranks of the result."""


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill, under the name metadata has for it."""

    name: str
    operation: str
    phrasings: tuple[str, ...]
    apply: Apply


def _skill(name: str, operation: str, phrasings: str, apply: Apply) -> Skill:
    return Skill(name, operation, tuple(each.strip() for each in phrasings.split("|")), apply)


def _rest(items: Ranks, chosen: int) -> Ranks:
    place = items.index(chosen)
    return items[:place] + items[place + 1 :]


def _pairs_swapped(items: Ranks) -> Ranks:
    swapped = [items[place ^ 1] if (place ^ 1) < len(items) else items[place] for place in range(len(items))]
    return tuple(swapped)


SKILLS: Final[Sequence[Skill]] = (
    _skill(
        "order reversal",
        "reverse",
        "turn the order around | read it backwards | flip it end to end | start from the back | mirror the sequence",
        lambda x, n: x[::-1],
    ),
    _skill(
        "ascending sorting",
        "sort",
        "put it in order | arrange it from low to high | line it up upwards | "
        "sort it | rank it with the earliest first",
        lambda x, n: tuple(sorted(x)),
    ),
    _skill(
        "descending sorting",
        "fall",
        "sort it downwards | arrange it from high to low | order it with the latest first | "
        "let it fall | rank it top down",
        lambda x, n: tuple(sorted(x, reverse=True)),
    ),
    _skill(
        "left rotation",
        "left",
        "send the first one to the end | rotate it to the left | move the front to the back | "
        "shift all forward | wheel it left",
        lambda x, n: x[1:] + x[:1],
    ),
    _skill(
        "right rotation",
        "right",
        "bring the last one to the front | rotate it to the right | move the tail to the head | "
        "shift all backward | wheel it right",
        lambda x, n: x[-1:] + x[:-1],
    ),
    _skill(
        "end swapping",
        "ends",
        "swap both ends | exchange first and last | let the outer two trade places | "
        "switch the ends | cross the borders",
        lambda x, n: x if len(x) < 2 else (x[-1], *x[1:-1], x[0]),
    ),
    _skill(
        "neighbour swapping",
        "pairs",
        "swap each pair | let neighbours trade places | exchange them two by two | "
        "cross every couple | switch side by side",
        lambda x, n: _pairs_swapped(x),
    ),
    _skill(
        "head removal",
        "tail",
        "drop the first | leave out the opening item | strike the head | skip the leading one | cut off the start",
        lambda x, n: x[1:] or x,
    ),
    _skill(
        "end removal",
        "trim",
        "drop the last | leave out the closing item | strike the tail | skip the final one | cut off the finish",
        lambda x, n: x[:-1] or x,
    ),
    _skill(
        "opening selection",
        "first",
        "keep the first two | take only the opening pair | save two from the start | "
        "hold on to the leading two | pick the top pair",
        lambda x, n: x[:2],
    ),
    _skill(
        "closing selection",
        "last",
        "keep the last two | take only the closing pair | save two from the finish | "
        "hold on to the final two | pick the bottom pair",
        lambda x, n: x[-2:],
    ),
    _skill(
        "forward counting",
        "next",
        "name what follows each | step each one up | go one further everywhere | "
        "advance all by one | give every successor",
        lambda x, n: tuple((each + 1) % n for each in x),
    ),
    _skill(
        "backward counting",
        "prior",
        "name what comes before each | step each one down | go one back everywhere | "
        "lower all by one | give every predecessor",
        lambda x, n: tuple((each - 1) % n for each in x),
    ),
    _skill(
        "double stepping",
        "leap",
        "step each one up twice | go two further everywhere | jump ahead by two | "
        "advance all by two | raise every item two places",
        lambda x, n: tuple((each + 2) % n for each in x),
    ),
    _skill(
        "opposite finding",
        "invert",
        "give each opposite | count every item from the other end | turn high to low | "
        "reflect the values | replace all by counterparts",
        lambda x, n: tuple(n - 1 - each for each in x),
    ),
    _skill(
        "minimum removal",
        "nomin",
        "remove the lowest | take away the earliest | throw out the least | "
        "do without the minimum | erase the smallest",
        lambda x, n: _rest(x, min(x)) or x,
    ),
    _skill(
        "maximum removal",
        "nomax",
        "remove the highest | take away the latest | throw out the greatest | "
        "do without the maximum | erase the largest",
        lambda x, n: _rest(x, max(x)) or x,
    ),
    _skill(
        "minimum promotion",
        "minup",
        "put the lowest in front | lead with the earliest | let the least go ahead | "
        "promote the minimum | open with the smallest",
        lambda x, n: (min(x), *_rest(x, min(x))),
    ),
    _skill(
        "maximum promotion",
        "maxup",
        "put the highest in front | lead with the latest | let the greatest go ahead | "
        "promote the maximum | open with the largest",
        lambda x, n: (max(x), *_rest(x, max(x))),
    ),
    _skill(
        "centre selection",
        "core",
        "keep the middle | drop both ends | peel off the outside | stay with the inner part | strip the borders",
        lambda x, n: x[1:-1] or x,
    ),
    _skill(
        "odd selection",
        "odds",
        "keep every other one | take the odd places | hop over each second | "
        "use places one and three and five | sample alternately",
        lambda x, n: x[::2],
    ),
    _skill(
        "even selection",
        "evens",
        "keep the even places | take each second one | begin with the second and hop | "
        "use places two and four and six | choose the skipped half",
        lambda x, n: x[1::2] or x,
    ),
    _skill(
        "head doubling",
        "twin",
        "say the first twice | repeat the opening item | double the head | "
        "stutter at the start | copy the leading one beside itself",
        lambda x, n: x[:1] + x,
    ),
    _skill(
        "end doubling",
        "echo",
        "say the last twice | repeat the closing item | double the tail | "
        "stutter at the finish | copy the final one beside itself",
        lambda x, n: x + x[-1:],
    ),
    _skill(
        "ring closing",
        "ring",
        "add the first at the end | close the circle | return to the start | "
        "finish where it began | end on the opening item",
        lambda x, n: x + x[:1],
    ),
    _skill(
        "minimum marking",
        "minend",
        "put the lowest at the end | finish with the earliest | let the least go behind | "
        "close with the minimum | place the smallest at the back",
        lambda x, n: (*_rest(x, min(x)), min(x)),
    ),
    _skill(
        "maximum marking",
        "maxend",
        "put the highest at the end | finish with the latest | let the greatest go behind | "
        "close with the maximum | place the largest at the back",
        lambda x, n: (*_rest(x, max(x)), max(x)),
    ),
    _skill(
        "half swapping",
        "halves",
        "swap the two halves | let the second half lead | cut it like a deck of cards | "
        "exchange front half and back half | divide and switch",
        lambda x, n: x[len(x) // 2 :] + x[: len(x) // 2],
    ),
    _skill(
        "second removal",
        "gap",
        "drop the second | leave a hole after the first | strike number two | "
        "skip the runner up | remove what stands in second place",
        lambda x, n: x[:1] + x[2:],
    ),
    _skill(
        "lower filtering",
        "low",
        "keep the lower half of values | stay below the middle of the scale | only the low ones remain | "
        "discard all high values | filter for early ones",
        lambda x, n: tuple(each for each in x if each < n // 2) or x[:1],
    ),
    _skill(
        "upper filtering",
        "high",
        "keep the upper half of values | stay above the middle of the scale | only the high ones remain | "
        "discard all low values | filter for late ones",
        lambda x, n: tuple(each for each in x if each >= n // 2) or x[:1],
    ),
    _skill(
        "range finding",
        "range",
        "give lowest and highest | name the two extremes | report earliest and latest | "
        "reduce it to minimum and maximum | show the span",
        lambda x, n: (min(x), max(x)),
    ),
)
"""In a fixed order, which is of no meaning."""

BY_NAME: Final = {skill.name: skill for skill in SKILLS}
BY_PHRASING: Final = {phrasing: skill for skill in SKILLS for phrasing in skill.phrasings}
