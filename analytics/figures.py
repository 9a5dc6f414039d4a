# SPDX-License-Identifier: Apache-2.0
# pyright: reportUnknownMemberType=false
# altair's own signatures take untyped keywords, which strict mode counts against each call.
"""Pictures from the history: one Vega-Lite specification gives the PNG and the self-contained page.

"Before and after the single pool" shows two runs of the same jobs on the same devices above each
other, on shared axes: what there is, what teams own and use themselves, and what each tier uses.
Every value is an exact mean over its bucket and is drawn as the step it is.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from duckdb import DuckDBPyConnection
from msgspec import Struct

HOUR_MS = 3_600_000
_WIDTH_PX, _HEIGHT_PX = 900, 250
_PNG_SCALE = 2
_TIER_COLOURS = {"premium": "#17456b", "standard": "#4f97c7", "basic": "#bfdcef"}
"""One hue, darker for the higher promise: the order reads without colour, too."""
_CAPACITY, _RESERVED, _IN_USE = (
    "total capacity",
    "reserved by teams",
    "reserved, in use by its owner",
)
_LINE_COLOURS = {_CAPACITY: "#1c1c1c", _RESERVED: "#c8442f", _IN_USE: "#c8442f"}
_LINE_DASHES = {_CAPACITY: [1, 0], _RESERVED: [2, 3], _IN_USE: [6, 2]}
_LABELLED_DAYS = 16
"""Most days that are labelled one by one."""
_HEADROOM = 1.06
"""How far the axis goes beyond the capacity, so that its line is seen whole."""
_SUBTITLE = (
    "Same jobs, same devices. Filled: devices held by jobs, by tier, stacked; "
    "every step is the mean over {}."
)

Specification = dict[str, Any]
"""A Vega-Lite specification: JSON by definition."""


class Run(Struct, frozen=True):
    """One run to be drawn: an open history, and what to call it."""

    name: str
    history: DuckDBPyConnection


class _Drawn(Struct, frozen=True):
    """Values of one panel; `used` and `useful` are device time held and with progress, per cent."""

    areas: list[dict[str, object]]
    lines: list[dict[str, object]]
    top: float
    used: float
    useful: float


class _Frame(Struct, frozen=True):
    """What both panels share: the top of their axis, days between labels; and which is upper."""

    top: float
    day_step: int
    first: bool


def before_and_after(
    before: Run, after: Run, *, title: str = "", until_ms: int | None = None
) -> Specification:
    """Return the picture of two runs, cut at recorded time `until_ms` where that is given.

    Buckets are an hour wide, and wider where the window is longer than three weeks, so that a step
    stays visible.
    """
    width_ms = _bucket_width(before.history, until_ms)
    drawn = [_read(run.history, width_ms, until_ms) for run in (before, after)]
    top = _HEADROOM * max(values.top for values in drawn)
    buckets = max(len(values.areas) for values in drawn) // len(_TIER_COLOURS)
    day_step = 1 + buckets * width_ms // (_LABELLED_DAYS * 24 * HOUR_MS)
    chart = (
        alt.vconcat(
            _panel(before.name, drawn[0], _Frame(top, day_step, first=True)),
            _panel(after.name, drawn[1], _Frame(top, day_step, first=False)),
            spacing=24,
        )
        .resolve_scale(x="shared", y="shared")
        .properties(
            title=alt.TitleParams(
                title or "Before and after the single pool",
                subtitle=_SUBTITLE.format(_width_text(width_ms)),
                anchor="start",
                fontSize=20,
                subtitleFontSize=13,
                subtitleColor="#555555",
                offset=16,
            ),
            padding={"left": 16, "right": 24, "top": 16, "bottom": 12},
        )
        .configure(background="#ffffff", font="Helvetica, Arial, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=12, titleFontSize=12, titleColor="#444444", domain=False)
        .configure_legend(labelFontSize=12, symbolStrokeWidth=2.5, labelLimit=220)
    )
    specification: Specification = chart.to_dict()
    return specification


def write_png(specification: Specification, path: Path) -> None:
    """Draw a picture into a PNG file."""
    path.write_bytes(vl_convert.vegalite_to_png(specification, scale=_PNG_SCALE))


def write_html(specification: Specification, path: Path) -> None:
    """Write a picture as one page with everything in it; it asks the network for nothing."""
    page = vl_convert.vegalite_to_html(specification, bundle=True, renderer="svg")
    title = escape(str(specification["title"]["text"]))
    page = page.replace("<title>Chart</title>", f"<title>{title}</title>", 1)
    path.write_text(page, encoding="utf-8")


def _bucket_width(history: DuckDBPyConnection, until_ms: int | None) -> int:
    first_ms, last_ms = history.execute("SELECT first_ms, last_ms FROM history").fetchall()[0]
    end_ms: int = last_ms if until_ms is None else min(last_ms, until_ms)
    return HOUR_MS * max(1, -(-(end_ms - int(first_ms)) // (21 * 24 * HOUR_MS)))


def _width_text(width_ms: int) -> str:
    hours = width_ms // HOUR_MS
    return "an hour" if hours == 1 else f"{hours} hours"


def _read(history: DuckDBPyConnection, width_ms: int, until_ms: int | None) -> _Drawn:
    end_ms = 2**62 if until_ms is None else until_ms
    areas = history.execute(
        "SELECT bucket_ms, tier, held_devices, useful_devices, capacity_devices, span_ms "
        "FROM utilisation_by(?) WHERE bucket_ms < ? ORDER BY bucket_ms, tier",
        [width_ms, end_ms],
    ).fetchall()
    in_use = history.execute(
        "SELECT bucket_ms, sum(reserved_devices), sum(in_use_devices) FROM reservation_use_by(?) "
        "WHERE bucket_ms < ? GROUP BY bucket_ms ORDER BY bucket_ms",
        [width_ms, end_ms],
    ).fetchall()
    capacity = {at_ms: devices for at_ms, _, _, _, devices, _ in areas}
    due = sum(row[4] * row[5] for row in areas) / len(_TIER_COLOURS) or 1
    return _Drawn(
        areas=[_area(at_ms, tier, held) for at_ms, tier, held, *_ in areas],
        lines=[
            *_line(_CAPACITY, list(capacity.items())),
            *_line(_RESERVED, [(at_ms, owned) for at_ms, owned, _ in in_use]),
            *_line(_IN_USE, [(at_ms, used) for at_ms, _, used in in_use]),
        ],
        top=max(capacity.values(), default=1),
        used=100 * sum(row[2] * row[5] for row in areas) / due,
        useful=100 * sum(row[3] * row[5] for row in areas) / due,
    )


def _area(at_ms: int, tier: str, held: float) -> dict[str, object]:
    rank = list(_TIER_COLOURS).index(tier)
    return {"at": at_ms, "tier": tier, "rank": rank, "devices": round(held, 2)}


def _line(name: str, points: Sequence[tuple[int, float]]) -> list[dict[str, object]]:
    return [{"at": at_ms, "line": name, "devices": round(value, 2)} for at_ms, value in points]


def _panel(name: str, drawn: _Drawn, frame: _Frame) -> alt.FacetChart | alt.LayerChart:
    caption = f"{drawn.used:.1f} % of device time in use, {drawn.useful:.1f} % making progress"
    layers = alt.layer(_areas(drawn.areas, frame), _lines(drawn.lines, frame)).resolve_scale(
        color="independent", strokeDash="independent"
    )
    panel: alt.FacetChart | alt.LayerChart = layers.properties(
        width=_WIDTH_PX,
        height=_HEIGHT_PX,
        title=alt.TitleParams(
            name,
            subtitle=caption,
            anchor="start",
            fontSize=15,
            subtitleFontSize=13,
            subtitleColor="#555555",
        ),
    )
    return panel


def _areas(values: list[dict[str, object]], frame: _Frame) -> alt.Chart:
    tiers = alt.Color(
        "tier:N",
        scale=alt.Scale(domain=list(_TIER_COLOURS), range=list(_TIER_COLOURS.values())),
        legend=_legend("in use, by tier", frame),
    )
    devices = alt.Y(
        "devices:Q",
        title="devices",
        stack="zero",
        scale=alt.Scale(domain=[0, frame.top], nice=False),
        axis=alt.Axis(tickCount=5, gridColor="#e6e6e6"),
    )
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(values=values))
        .mark_area(interpolate="step-after")
        .encode(
            x=_time_axis(frame),
            y=devices,
            color=tiers,
            order=alt.Order("rank:O"),
            tooltip=_tooltip("tier"),
        )
    )
    return chart


def _lines(values: list[dict[str, object]], frame: _Frame) -> alt.Chart:
    names = list(_LINE_COLOURS)
    legend = _legend(None, frame)
    colours = alt.Scale(domain=names, range=list(_LINE_COLOURS.values()))
    dashes = alt.Scale(domain=names, range=list(_LINE_DASHES.values()))
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(values=values))
        .mark_line(interpolate="step-after", strokeWidth=1.8)
        .encode(
            x=_time_axis(frame),
            y=alt.Y("devices:Q"),
            color=alt.Color("line:N", scale=colours, legend=legend),
            strokeDash=alt.StrokeDash("line:N", scale=dashes, legend=legend),
            tooltip=_tooltip("line"),
        )
    )
    return chart


def _legend(title: str | None, frame: _Frame) -> alt.Legend | None:
    """Return the legend above the upper panel; it serves both."""
    if not frame.first:
        return None
    return alt.Legend(
        title=title, orient="top", direction="horizontal", titleOrient="left", columnPadding=16
    )


def _time_axis(frame: _Frame) -> alt.X:
    return alt.X(
        "at:T",
        title=None if frame.first else "recorded time, UTC",
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(
            format="%-d %b", tickCount={"interval": "day", "step": frame.day_step}, grid=False
        ),
    )


def _tooltip(what: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("utcyearmonthdatehours(at):T", title="from"),
        alt.Tooltip(f"{what}:N", title="what"),
        alt.Tooltip("devices:Q", title="devices, mean", format=",.1f"),
    ]
