"""Charts as files: PNG and SVG, drawn on this machine, without a browser and without the network."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from codeclm import run_directory

INSTALL = "pip install 'codeclm[charts]'"

# What the charts are written in; it is drawn the same whichever other versions the renderer knows.
VEGA_LITE = "6.1"
_SCALE = 2.0  # pixels of the PNG for one of the SVG


# Not in XML 1.0 (section 2.2); the ends of lines that JavaScript knows; and beyond U+FFFF, where the renderer, which
# counts in UTF-16, clips a long name in the middle of a character.
_NOT_TO_BE_DRAWN: Final = re.compile("[^\t\n\r\x20-\u2027\u202a-\ud7ff\ue000-\ufffd]")

_LONGEST: Final = 200  # characters of a text: far more than there is room for, and measuring a long one takes minutes


class MissingCharts(Exception):
    """The optional packages that draw are not installed; :data:`INSTALL` installs them."""


def drawn(draw: Callable[[], tuple[Path, ...]]) -> tuple[tuple[Path, ...], str]:
    """The files that ``draw`` writes; or none, and what to tell of it, where the packages that draw are missing."""
    try:
        return draw(), ""
    except MissingCharts as error:
        return (), f"No picture: {error}. {INSTALL} gets what draws one; then run this again."


def draw_as(name: str, folder: Path, chart: Callable[[], Any]) -> tuple[Path, Path]:
    """Write ``folder``/NAME.png and NAME.svg of the chart that ``chart`` makes. Raises MissingCharts.

    ``chart`` imports what it is made with when it is called: altair is heavy and optional.
    """
    try:
        import vl_convert

        spec = without_unprintable(chart().to_dict())
    except ModuleNotFoundError as missing:
        raise MissingCharts(f"{missing.name} is not installed") from None
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    run_directory.write(png, vl_convert.vegalite_to_png(spec, vl_version=VEGA_LITE, scale=_SCALE))
    run_directory.write(svg, vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE).encode())
    return png, svg


def without_unprintable(value: Any) -> Any:
    """A chart's values, with each character that the renderer can't draw shown as U+FFFD, and overlong texts clipped.

    Names in charts may come from models, and at some characters the renderer ends the process.
    """
    match value:
        case str():
            return _NOT_TO_BE_DRAWN.sub("\ufffd", value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…")
        case dict():
            return {key: without_unprintable(one) for key, one in value.items()}
        case list():
            return [without_unprintable(one) for one in value]
    return value
