"""Drawing: axes, lines, points and words as SVG, in the colours of whatever page they stand on.

Colours are CSS variables with names of what they mean, so that a page's dark mode and a figure in a file of
its own (`standalone`) look right. They are Okabe and Ito's: told apart with any colour vision, and by dash
and shape in print.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from transferkit.printable import visible

STYLE = """
.fig{font:12px system-ui,sans-serif;--ink:#1f2328;--dim:#59636e;--rule:#d0d7de;--train:#0072b2;--val:#b34700;
--paper:#fff;--full:#08519c}
.fig .rimmed{stroke:var(--paper);stroke-width:3;paint-order:stroke}
.fig text{fill:var(--ink)}.fig .dim{fill:var(--dim)}.fig .small{font-size:10.5px}
.fig .grid{stroke:var(--rule);stroke-width:1}.fig .axis{stroke:var(--dim);stroke-width:1;fill:none}
.fig .line{fill:none;stroke-width:2}.fig .dash{stroke-dasharray:5 4}.fig .dot{stroke-dasharray:1.5 4}
.fig .train{stroke:var(--train)}.fig .val{stroke:var(--val)}
.fig .ref{stroke:var(--dim)}
.fig .f-train{fill:var(--train)}.fig .f-val{fill:var(--val)}
.fig .f-paper{fill:var(--paper)}.fig .band{fill:var(--val);opacity:.16}
"""
DARK = (
    ".fig{--ink:#e6edf3;--dim:#9198a1;--rule:#30363d;--train:#56b4e9;--val:#f0913a;"
    "--paper:#0d1117;--full:#79b8ff}"
)


def tag(kind: str, content: str = "", **attributes: object) -> str:
    """An element; underscores in names of attributes become hyphens, a trailing one is dropped."""
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for name, value in attributes.items()
    )
    return f"<{kind}{named}>{content}</{kind}>" if content else f"<{kind}{named}/>"


def words(
    x: float, y: float, content: object, *, anchor: str = "start", kind: str = "", turn: float = 0
) -> str:
    """Text at a place; whatever it holds is shown as it is."""
    placed: dict[str, object] = {"x": x, "y": y, "text_anchor": anchor}
    if kind:
        placed["class_"] = kind
    if turn:
        placed["transform"] = f"rotate({_short(turn)} {_short(x)} {_short(y)})"
    return tag("text", escape(visible(content)), **placed)


def drawing(width: float, height: float, parts: Sequence[str], *, title: str, description: str = "") -> str:
    """A picture with a name and a description for whoever cannot see it."""
    told = tag("title", escape(visible(title)))
    if description:
        told += tag("desc", escape(visible(description)))
    wide, high = _short(width), _short(height)
    return (
        f'<svg class="fig" xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {wide} {high}" '
        f'width="{wide}" height="{high}" style="--w:{wide}px" aria-label="{escape(visible(title))}">'
        f"{told}{''.join(parts)}</svg>"
    )


def standalone(picture: str) -> str:
    """A picture as the content of an .svg file: with its colours, for light and dark."""
    style = f"<style>{STYLE}@media (prefers-color-scheme:dark){{{DARK}}}</style>"
    start, _, rest = picture.partition(">")
    ground = '<rect class="f-paper" width="100%" height="100%"/>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{start}>{style}{ground}{rest}\n'


@dataclass(frozen=True)
class Scale:
    """Numbers to places: `low` to `high` on the paper from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a number stands."""
        low, high, value = (
            (math.log(each) for each in (self.low, self.high, value))
            if self.log
            else (self.low, self.high, value)
        )
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round numbers within it."""
        if self.log:
            powers = range(
                math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1
            )
            step = max(1, math.ceil(len(powers) / about))
            return [10.0**power for power in list(powers)[::step]]
        rough = (self.high - self.low) / about or 1.0
        size = 10 ** math.floor(math.log10(rough))
        step = next(size * each for each in (1, 2, 2.5, 5, 10) if size * each >= rough - 1e-12)
        first = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Panel:
    """A place for lines: an x and a y scale."""

    x: Scale
    y: Scale

    def axes(
        self,
        x_label: str,
        y_label: str,
        *,
        x_ticks: Sequence[tuple[float, str]] | None = None,
        percent: bool = False,
    ) -> str:
        """Rules, ticks and labels.

        Args:
            x_label: under the axis.
            y_label: above it.
            x_ticks: place and words of each; None takes round numbers.
            percent: whether y is a share that is told in per cent.
        """
        left, right, bottom, top = self.x.start, self.x.end, self.y.start, self.y.end
        parts = []
        for value in self.y.ticks(4):
            at = self.y.at(value)
            parts.append(tag("line", class_="grid", x1=left, x2=right, y1=at, y2=at))
            told = f"{100 * value:.4g} %" if percent else f"{value:.4g}"
            parts.append(words(left - 6, at + 4, told, anchor="end", kind="dim small"))
        ticks = [(value, f"{value:.4g}") for value in self.x.ticks()] if x_ticks is None else x_ticks
        for value, told in ticks:
            at = self.x.at(value)
            parts.append(tag("line", class_="axis", x1=at, x2=at, y1=bottom, y2=bottom + 4))
            parts.append(words(at, bottom + 17, told, anchor="middle", kind="dim small"))
        parts.append(tag("path", class_="axis", d=f"M{left} {top}V{bottom}H{right}"))
        parts.append(words((left + right) / 2, bottom + 34, x_label, anchor="middle", kind="dim"))
        parts.append(words(left - 38, top - 10, y_label, kind="dim"))
        return "".join(parts)

    def line(self, xs: Sequence[float], ys: Sequence[float], kind: str) -> str:
        """A line through what is finite; it breaks where something is not."""
        parts, pen = [], "M"
        for x, y in zip(xs, ys, strict=True):
            if not (math.isfinite(x) and math.isfinite(y)):
                pen = "M"
                continue
            parts.append(f"{pen}{self.x.at(x):.1f} {self.y.at(y):.1f}")
            pen = "L"
        return tag("path", class_=f"line {kind}", d="".join(parts)) if parts else ""

    def marks(self, xs: Sequence[float], ys: Sequence[float], kind: str, *, square: bool = False) -> str:
        """A small mark at each point that is finite."""
        found = []
        for x, y in zip(xs, ys, strict=True):
            if math.isfinite(x) and math.isfinite(y):
                px, py = self.x.at(x), self.y.at(y)
                found.append(
                    tag("rect", class_=kind, x=px - 3, y=py - 3, width=6, height=6)
                    if square
                    else tag("circle", class_=kind, cx=px, cy=py, r=3.2)
                )
        return "".join(found)


def panel(
    box: tuple[float, float, float, float], x: tuple[float, float], y: tuple[float, float], log: bool = False
) -> Panel:
    """A panel in a box `(left, top, width, height)` for numbers from and to; `log` is of x."""
    left, top, width, height = box
    return Panel(Scale(*x, left, left + width, log), Scale(*y, top + height, top))


def legend(x: float, y: float, entries: Sequence[tuple[str, str, str]]) -> str:
    """Entries side by side: words, class of the line, class of the mark ("" for none; "square ..." )."""
    parts, at = [], x
    for told, line, mark in entries:
        parts.append(tag("line", class_=f"line {line}", x1=at, x2=at + 24, y1=y - 4, y2=y - 4))
        if mark.startswith("square "):
            parts.append(tag("rect", class_=mark[7:], x=at + 9, y=y - 7, width=6, height=6))
        elif mark:
            parts.append(tag("circle", class_=mark, cx=at + 12, cy=y - 4, r=3.2))
        parts.append(words(at + 30, y, told))
        at += 44 + 7 * len(told)
    return "".join(parts)


def _short(value: object) -> str:
    """A number with two digits behind the point at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
