"""The one place that imports pyarrow: an optional dependency, asked for only when a Parquet file is read or written."""

from __future__ import annotations

from typing import Any

from codeclm.errors import InputError


class MissingPyarrow(InputError):
    """Parquet was asked for and pyarrow is not installed."""


def load_pyarrow() -> Any:
    """``pyarrow`` with its ``parquet`` module loaded."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingPyarrow("Parquet needs pyarrow. Install it: pip install 'codeclm[parquet]'") from None
    return pyarrow
