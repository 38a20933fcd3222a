"""What single values of a configuration may be: each function returns a good value and raises ValueError for another.

The message says what was expected; :mod:`codeclm.config_files` puts the key and the place before it.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

SIMULATOR: Final = "simulator"
"""The address of the built-in simulated models."""

# What the client sends itself: a second way to set it would make the record of the run untrue.
_BODY_FIELDS = frozenset(
    ("model", "messages", "prompt", "temperature", "seed", "max_tokens", "max_completion_tokens", "response_format",
     "stream", "n", "input", "encoding_format")
)  # fmt: skip
_SECRET_FIELD = re.compile(r"(api|access|secret)_?(key|token)|password|authorization", re.IGNORECASE)
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)


def known_url(url: str) -> str:
    """An API's address as it is kept: http or https with a host, nothing secret in it, or the word `simulator`.

    Empty where there is none.
    """
    if not url:
        return url
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if url != SIMULATOR and not whole:
        raise ValueError(f"expected a URL such as http://127.0.0.1:8000/v1, or the word {SIMULATOR}")
    if url != SIMULATOR and (parts.username or parts.password):
        raise ValueError(
            "a URL with a user or password in it would be written to files; use `headers` with ${VARIABLE}"
        )
    if parts.query or parts.fragment:
        raise ValueError("expected a URL without ? and #; further parameters go into `extra_body` or `headers`")
    return url.rstrip("/")


def variable_name(name: str | None) -> str | None:
    """The name of an environment variable."""
    # Hidden in messages too: what is here by mistake may be the key.
    if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("expected the NAME of an environment variable such as OPENAI_API_KEY, never the key itself")
    return name


def not_ours(extra_body: dict[str, Any]) -> dict[str, Any]:
    """Further fields of a body, none of which the client sends itself."""
    for name, value in extra_body.items():
        if name in _BODY_FIELDS and value is not None:
            raise ValueError(f"{name} is set by the run itself; see the keys of the model and of `method`")
        if _SECRET_FIELD.search(str(name)) and isinstance(value, str):
            raise ValueError(f"{name} looks like a secret, and this would be written to files; use `headers`")
    return extra_body


def cluster_address(address: str) -> str:
    """Where a Ray cluster is: ``local``, ``auto``, or HOST:PORT of its head node."""
    if address not in ("local", "auto") and not re.fullmatch(r"[\w.-]+:[0-9]{1,5}", address, re.ASCII):
        raise ValueError("expected local, auto, or HOST:PORT of the cluster's head node, such as 10.0.0.5:6379")
    return address


def no_separators(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names that can stand in a list of one line."""
    for name in names:
        if not name.strip() or any(separator in name for separator in ",;\n"):
            raise ValueError(
                f"expected names without commas, semicolons and line breaks, such as {name.split(',')[0]!r}"
            )
    return names


def no_literal_secrets(headers: dict[str, str]) -> dict[str, str]:
    """Headers that can be sent, and whose secrets are in the environment."""
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"header {name} holds characters that can't be sent")
        if _SECRET_HEADER.search(name) and not re.search(r"\$\{\w+\}", value):
            raise ValueError(f"header {name} looks like a secret: write ${{VARIABLE}} and set it in the environment")
    return headers


def one_instruction_field(template: str) -> str:
    """A template that shows the instruction once."""
    if template.count("{instruction}") != 1:
        raise ValueError("expected a template that contains {instruction} exactly once")
    return template


def not_a_role(models: dict[str, T]) -> dict[str, T]:
    """Models under names that no model of a run has."""
    for name in models:
        if name in ("strong", "target", "judge"):
            raise ValueError(f"{name} is the name of one of the run's own models; choose another for the candidate")
    return models


def short_names(models: dict[str, T]) -> dict[str, T]:
    """Models under names that are good for files and keys."""
    for name in models:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
            raise ValueError(f"expected short names of letters, digits, _ and - for the models, not {name!r:.80}")
    return models
