"""A client that asks the simulated world without a server between: for tests of what stages make of replies."""

from __future__ import annotations

from collections.abc import Callable

from codeclm.clients import echoed
from codeclm.prompts.templates import BUILT_IN
from codeclm.records import Completion, ReplyForm, Request, Usage
from codeclm.simulator import likelihoods
from codeclm.simulator.models import DEFAULT_STRONG, DEFAULT_TARGET, SimulatedModel
from codeclm.simulator.world import reply


class WorldClient:
    """A simulated model as a Client. ``twist`` may change a completion or raise; ``requests`` is what was asked."""

    max_tokens = 2048
    templates = BUILT_IN

    def __init__(
        self,
        model: SimulatedModel = DEFAULT_STRONG,
        *,
        form: ReplyForm = "json",
        twist: Callable[[Request, Completion], Completion] = lambda request, completion: completion,
    ) -> None:
        self.form: ReplyForm = form
        self.requests: list[Request] = []
        self._model = model
        self._twist = twist

    async def complete(self, request: Request) -> Completion:
        """The simulated reply, twisted."""
        self.requests.append(request)
        if request.continuation:
            return self._twist(request, self._likelihood(request.messages[0].content, request.continuation))
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        text = reply(self._model, messages, temperature=request.temperature, seed=request.sample)
        return self._twist(request, Completion(text, usage=Usage(10, len(text) // 4)))

    def opening(self, instruction: str) -> str:
        """The usual template, filled in."""
        return f"### Instruction:\n{instruction}\n\n### Response:\n"

    def _likelihood(self, context: str, text: str) -> Completion:
        tokens, figures = zip(*likelihoods.listed(self._model, context + text), (" I", -1.0), strict=True)
        choice = {"text": f"{context}{text} I", "logprobs": {"tokens": [*tokens], "token_logprobs": [*figures]}}
        usage = {"prompt_tokens": len(tokens) - 1, "completion_tokens": 1}
        return echoed.completion({"choices": [choice], "usage": usage}, context, text, 0.0)

    async def again(self, failed: Request, anew: Request) -> bool:
        """It keeps no record."""
        return False

    def asked(self, stage: str) -> int:
        """How many requests were of a stage."""
        return sum(request.stage == stage for request in self.requests)


def strong_and_target() -> tuple[WorldClient, WorldClient]:
    """The two default models."""
    return WorldClient(DEFAULT_STRONG), WorldClient(DEFAULT_TARGET)
