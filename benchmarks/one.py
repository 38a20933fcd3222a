"""One benchmark of the suite, in a process of its own.

    python -m benchmarks.one NAME OUT [--quick]

OUT becomes a JSON object: ``codeclm``, the folder of the package that was measured, with ``figures``, or with why there
are none: ``unavailable`` (something is not here) or ``failed``.
"""

import argparse
import json
import sys
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.figures import Unavailable, to_json


def measured(name: str, *, quick: bool) -> dict[str, Any]:
    """What came of the benchmark. Raises nothing that it raises."""
    try:
        return {"figures": to_json(import_module(f"benchmarks.{name}").figures(quick=quick))}
    except Unavailable as reason:
        return {"unavailable": str(reason)}
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="One benchmark of the suite.")
    parser.add_argument("name")
    parser.add_argument("out", type=Path)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    found = find_spec("codeclm")
    folder = str(Path(found.origin).resolve().parent) if found and found.origin else None
    args.out.write_text(json.dumps({"codeclm": folder} | measured(args.name, quick=args.quick)))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
