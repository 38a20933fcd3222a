"""The one judge: two answers scored in both orders. The filter and the evaluation both call it (section 3.3)."""

from __future__ import annotations

from codeclm.clients.ask import ask, together
from codeclm.clients.protocol import Client
from codeclm.prompts import questions
from codeclm.records import Answer, Comparison


async def compare(
    instruction: str, strong: Answer, target: Answer, *, judge: Client, temperature: float = 0.0
) -> Comparison:
    """Scores 1-10 of both answers, each answer shown first once, so that a judge's liking for a place cancels out.

    Raises CallFailed when one of the two orders gave no readable pair of scores.
    """
    strong_first, target_first = await together(
        ask(judge, questions.judge(instruction, strong.text, target.text), temperature=temperature),
        ask(judge, questions.judge(instruction, target.text, strong.text), temperature=temperature),
    )
    return Comparison(strong_first, (target_first[1], target_first[0]))
