"""The one thing the stages know of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from codeclm.config_models import ModelsConfig
from codeclm.prompts.templates import Templates
from codeclm.records import Completion, ReplyForm, Request


class Client(Protocol):
    """A model that can be asked. Layers wrap one another and all look like this."""

    @property
    def form(self) -> ReplyForm:
        """The reply form to ask for: ``json`` where the endpoint was seen to keep to a schema."""

    @property
    def templates(self) -> Templates:
        """The texts of the prompts it is asked with."""

    @property
    def max_tokens(self) -> int:
        """The most tokens one reply may have."""

    def opening(self, instruction: str) -> str:
        """The text after which the model's answer to an instruction begins: its ``template``, filled in."""

    async def complete(self, request: Request) -> Completion:
        """The model's completion. Raises :class:`~codeclm.errors.CallFailed` when there is none."""

    async def again(self, failed: Request, anew: Request) -> bool:
        """Whether a question whose replies were of no use is asked ``anew``; ``failed`` is how it was asked first."""


class Layer:
    """What every wrapping client shares: the answers about the endpoint come from the innermost one."""

    def __init__(self, inner: Client) -> None:
        self.inner = inner

    @property
    def form(self) -> ReplyForm:
        """The innermost client's reply form."""
        return self.inner.form

    @property
    def templates(self) -> Templates:
        """The innermost client's prompts."""
        return self.inner.templates

    @property
    def max_tokens(self) -> int:
        """The innermost client's limit."""
        return self.inner.max_tokens

    def opening(self, instruction: str) -> str:
        """As the innermost client has it."""
        return self.inner.opening(instruction)

    async def again(self, failed: Request, anew: Request) -> bool:
        """What the layer below says."""
        return await self.inner.again(failed, anew)


@dataclass(frozen=True, slots=True)
class Models:
    """The models of a run, ready to be asked.

    ``ensemble`` are further strong models by name, whose answers compete with the strong one's; ``jury`` the judges
    that score in the place of ``judge``, by name, where there are several.
    """

    strong: Client
    target: Client
    judge: Client
    ensemble: Mapping[str, Client] = field(default_factory=dict)
    jury: Mapping[str, Client] = field(default_factory=dict)


def models_of(config: ModelsConfig, by_name: Mapping[str, Client]) -> Models:
    """A run's models, each of the clients in its place; the strong one judges where no other does."""
    return Models(
        by_name["strong"],
        by_name["target"],
        by_name.get("judge", by_name["strong"]),
        ensemble={name: by_name[f"ensemble.{name}"] for name in config.ensemble},
        jury={name: by_name[f"jury.{name}"] for name in config.jury},
    )
