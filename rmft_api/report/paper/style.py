"""How figures look, and how they become files. Needs the `[figures]` extra (matplotlib).

Colours are those of Okabe and Ito (2008), which readers with any colour vision distinguish; lines
differ in dashes too. Text stays text in SVG and PDF. The same run gives the same bytes.
"""

import io
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

from rmft_api.core.errors import ConfigError

Format = Literal["svg", "pdf", "png"]
FORMATS: tuple[Format, ...] = ("svg", "pdf", "png")
WIDTHS = {1: 3.35, 2: 6.9}
"""Inches of a figure over one column and over two (85 and 175 mm)."""
ACCENT, SECOND, BASE, FAINT = "#0072B2", "#D55E00", "#555555", "#B8B8B8"
RIVALS = ("#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#8C6D1F", "#333333")
DASHES = ((0, (5, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)), (0, (3, 1)), (0, (9, 3)), (0, (1, 3)))
DPI = 300
_BACKENDS: dict[Format, str] = {"svg": "svg", "pdf": "pdf", "png": "agg"}
_SETTINGS = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": False,
    "lines.linewidth": 1.3,
    "svg.fonttype": "none",
    "svg.hashsalt": "rmft-api",
    "pdf.fonttype": 42,
    "figure.constrained_layout.use": True,
}


def matplotlib() -> Any:
    """The package. Raises ConfigError where it is missing."""
    try:
        return import_module("matplotlib")
    except ImportError:
        raise ConfigError("figures need matplotlib: pip install 'rmft-api[figures]'") from None


@contextmanager
def styled() -> Generator[None]:
    """Within the block figures look as described above, whatever the reader's own settings are."""
    package = matplotlib()
    with package.rc_context():
        package.rcdefaults()
        package.rcParams.update(_SETTINGS)
        yield


def rival(place: int) -> tuple[str, Any]:
    """Colour and dashes of a baseline; 36 of them look different."""
    return RIVALS[place % 6], DASHES[(place + place // 6) % 6]


def new_figure(columns: int, height: float) -> Any:
    """An empty figure over one or two columns of a page, `height` inches high."""
    return import_module("matplotlib.figure").Figure(figsize=(WIDTHS[columns], height))


def settle(figure: Any) -> None:
    """Lay the figure out once, for all formats alike."""
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")


def content(figure: Any, kind: Format) -> bytes:
    """The figure as a file's bytes.

    Its canvas is asked directly: `savefig` would draw everything once before, to no end here.
    """
    out = io.BytesIO()
    empty = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
    backend = import_module(f"matplotlib.backends.backend_{_BACKENDS[kind]}")
    figure.set_dpi(DPI)  # of PNG; the others have points
    getattr(backend.FigureCanvas(figure), f"print_{kind}")(out, metadata=empty[kind])
    return out.getvalue()
