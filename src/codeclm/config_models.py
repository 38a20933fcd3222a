"""The models of a configuration: where each is reached, how it is asked, what it costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from codeclm.config_section import Section
from codeclm.config_values import (
    known_url,
    no_literal_secrets,
    not_a_role,
    not_ours,
    one_instruction_field,
    short_names,
    variable_name,
)


class PriceConfig(Section):
    """What an endpoint charges, in dollars per million tokens."""

    input: Decimal = Field(ge=0, max_digits=20, description="Dollars per million prompt tokens.")
    output: Decimal = Field(ge=0, max_digits=20, description="Dollars per million reply tokens, thinking included.")


# What suits servers that answer few calls at once, on one machine, where a slow answer costs nothing but time.
_OF_ENGINES: dict[str, dict[str, Any]] = {
    "vllm": {"timeout": 600},
    "transformers": {"timeout": 600, "max_in_flight": 4},
    "llama.cpp": {"timeout": 600, "max_in_flight": 16},
    "ollama": {"timeout": 600, "max_in_flight": 16},
}


class ServeConfig(Section):
    """A server that is started for as long as the model is needed, on a free port of 127.0.0.1."""

    engine: Literal["vllm", "transformers", "llama.cpp", "ollama"] = Field(description="Which server.")
    model: str = Field(
        min_length=1,
        description="What it serves: a folder of weights or of an adapter, a GGUF file, or a name of the engine's.",
    )
    command: tuple[str, ...] = Field(
        (),
        description="How the engine is started, where it is not on the PATH: [/envs/vllm/bin/vllm].",
    )
    options: tuple[str, ...] = Field(
        (),
        description='Further options of its command line, such as [--max-model-len, "8192"]; for ollama lines of a '
        "Modelfile, such as [PARAMETER num_ctx 8192].",
    )
    ready_within: float = Field(600, gt=0, le=86_400, description="Seconds until it must answer.")
    weights: str | None = Field(
        None,
        description="A digest of the folder's or file's content; worked out when the config is read, and looked at "
        "again when the server starts.",
    )

    @property
    def recorded_as(self) -> str:
        """What its answers are recorded as: the engine, the content or else the name of what is served, the options."""
        return " ".join((self.engine, self.weights or self.model, *self.options))


class ModelConfig(Section):
    """One model behind an OpenAI-compatible endpoint."""

    model: str = Field(
        "",
        description="The model's name, as the endpoint knows it; with `serve`, that of what is served unless set.",
    )
    base_url: Annotated[str, AfterValidator(known_url)] = Field(
        "",
        description="Where the API lives, with its version: http://127.0.0.1:8000/v1. "
        "The word `simulator` starts the built-in simulated models instead (strong, target, judge, embedding).",
    )
    serve: ServeConfig | None = Field(
        None,
        description="Instead of base_url: a server is started for this model when it is first asked, "
        "{engine: vllm, model: PATH}, and stopped at the end. Engines: vllm, transformers, llama.cpp, ollama.",
    )
    api: Literal["chat", "completions", "embeddings"] = Field(
        "chat",
        description="`chat` for models with a chat template, `completions` for a base model without one; "
        "`models.embedding` has `embeddings`.",
    )
    api_key_env: Annotated[str | None, AfterValidator(variable_name)] = Field(
        None, description="The environment variable that holds the API key. The key itself is never written anywhere."
    )
    max_in_flight: int = Field(
        512,
        ge=1,
        le=10_000,
        description="Never more calls to this endpoint at once. How many serve it best is found out while it works.",
    )
    requests_per_minute: int | None = Field(
        None, ge=1, description="Never more requests a minute, where you want fewer than the endpoint allows."
    )
    tokens_per_minute: int | None = Field(
        None, ge=1, description="About so many tokens a minute, prompts and replies together, and not more."
    )
    batch: bool = Field(
        False,
        description="Send the calls through the endpoint's Batch API: half the price at OpenAI, hours instead of "
        "seconds.",
    )
    price: PriceConfig | None = Field(
        None,
        description="What a million tokens cost, {input, output} in dollars; from the list of genai-prices unless set. "
        "A server of your own: {input: 0, output: 0}.",
    )
    timeout: float = Field(120, gt=0, le=86_400, description="Seconds to wait for one whole reply.")
    max_tokens: int = Field(2048, ge=1, description="At most so many tokens in one reply (thinking included).")
    retries: int = Field(
        8, ge=0, le=100, description="How often one call is sent again after a 429, 5xx, timeout or broken connection."
    )
    give_up_after: float = Field(
        600,
        ge=0,
        description="Seconds an endpoint that worked may be out of order. The run waits and tries it now and then.",
    )
    reply_form: Literal["auto", "json", "text"] = Field(
        "auto", description="How structured replies are asked for; `auto` finds out with a tiny call and remembers."
    )
    extra_body: Annotated[dict[str, Any], AfterValidator(not_ours)] = Field(
        default_factory=dict, description="Further fields of the request body, such as {top_p: 0.95}."
    )
    headers: Annotated[dict[str, str], AfterValidator(no_literal_secrets)] = Field(
        default_factory=dict, description="Further HTTP headers; ${NAME} is read from the environment."
    )
    template: Annotated[str, AfterValidator(one_instruction_field)] = Field(
        "### Instruction:\n{instruction}\n\n### Response:\n",
        description="For `api: completions` and log-probabilities: how an instruction becomes the text to complete.",
    )
    stop: tuple[str, ...] = Field((), description="For `api: completions`: texts at which the reply ends.")
    identity: str | None = Field(
        None,
        description="The name under which this endpoint's answers are recorded; its base_url unless set. "
        "When the same server moves, set it to the old base_url and nothing is asked twice.",
    )

    @model_validator(mode="before")
    @classmethod
    def _as_what_is_served(cls, values: Any) -> Any:
        """A model served here has, unless they are set, the name of its folder or file and what suits its engine."""
        served = values.get("serve") if isinstance(values, dict) else None
        if isinstance(served, ServeConfig):
            served = served.model_dump()
        if not isinstance(served, dict) or not isinstance(served.get("model"), str):
            return values
        name = served["model"].rstrip("/").rsplit("/", 1)[-1]
        return (
            {"model": name}
            | _OF_ENGINES.get(str(served.get("engine")), {})
            | {k: v for k, v in values.items() if k != "model" or v}
        )

    @model_validator(mode="after")
    def _reached_in_one_way(self) -> ModelConfig:
        if bool(self.base_url) == bool(self.serve):
            raise ValueError("expected either `base_url` or `serve`, which starts a server")
        if not self.model:
            raise ValueError("expected `model`, the name that the endpoint knows it by")
        if self.serve and self.batch:
            raise ValueError("expected no `batch` with `serve`: a server of your own has no Batch API")
        return self

    @property
    def recorded_as(self) -> str:
        """The endpoint's name in the journal's keys. What is served here goes by its engine, content and options."""
        if self.identity or not self.serve:
            return self.identity or self.base_url
        return self.serve.recorded_as

    @property
    def recorded_model(self) -> str:
        """The model's name in the journal's keys; none where its content says what it is, whatever it is called."""
        return "" if self.serve and self.serve.weights and not self.identity else self.model

    @property
    def where(self) -> str:
        """Where it is reached, for people."""
        return f"a server of its own ({self.serve.engine})" if self.serve else self.base_url

    def opening(self, instruction: str) -> str:
        """The text after which the model's answer to an instruction begins: the template, filled in."""
        before, after = self.template.split("{instruction}")
        return before + instruction + after


class ModelsConfig(Section):
    """The models of a run."""

    strong: ModelConfig = Field(description="The strong model: encodes, decodes, writes rubrics, improves, answers.")
    target: ModelConfig = Field(description="The model to be fine-tuned: answers in the filter.")
    judge: ModelConfig | None = Field(
        None, description="Scores the answers; the strong model unless set, as in the paper."
    )
    ensemble: Annotated[dict[str, ModelConfig], AfterValidator(short_names)] = Field(
        default_factory=dict,
        description="Further strong models, each under a name of your choice: they answer too, and the best answer "
        "competes with the target's.",
    )
    jury: Annotated[dict[str, ModelConfig], AfterValidator(short_names)] = Field(
        default_factory=dict,
        description="Several judges in the place of one, each under a name of your choice: their scores are averaged "
        "and their disagreement recorded.",
    )
    candidates: Annotated[dict[str, ModelConfig], AfterValidator(short_names), AfterValidator(not_a_role)] = Field(
        default_factory=dict,
        description="Models that `codeclm evaluate` evaluates, such as tuned ones, each under a name of your choice. "
        "No run asks them.",
    )

    embedding: ModelConfig | None = Field(
        None,
        description="A model of the API for embeddings, by which `codeclm audit` compares instructions with the seeds. "
        "No run asks it.",
    )

    @model_validator(mode="before")
    @classmethod
    def _embedding_by_its_api(cls, values: Any) -> Any:
        """The embedding model has an API of its own, which need not be said."""
        given = values.get("embedding") if isinstance(values, dict) else None
        return {**values, "embedding": {"api": "embeddings", **given}} if isinstance(given, dict) else values

    @model_validator(mode="after")
    def _each_its_api(self) -> ModelsConfig:
        if self.embedding and self.embedding.api != "embeddings":
            raise ValueError("expected `embedding` to have `api: embeddings`")
        for name, model in (*self.named.items(), *self.candidates.items()):
            if model.api == "embeddings":
                raise ValueError(f"expected `{name}` to write text; only `embedding` has `api: embeddings`")
        return self

    @property
    def judging(self) -> ModelConfig:
        """The model that scores answers."""
        return self.judge or self.strong

    @property
    def named(self) -> dict[str, ModelConfig]:
        """A run's models by their names in the config; the judge only where it is one of its own, candidates never."""
        named = {"strong": self.strong, "target": self.target} | ({"judge": self.judge} if self.judge else {})
        named |= {f"ensemble.{name}": model for name, model in self.ensemble.items()}
        return named | {f"jury.{name}": model for name, model in self.jury.items()}

    @property
    def named_and_embedding(self) -> dict[str, ModelConfig]:
        """A run's models by their names, and the embedding model, which is asked by an audit of the run."""
        return self.named | ({"embedding": self.embedding} if self.embedding else {})
