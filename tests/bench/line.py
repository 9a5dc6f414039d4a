# SPDX-License-Identifier: Apache-2.0
"""The line of a measurement: what was measured, beside its anchor of the same run."""

Line = dict[str, object]


def line(
    measured: tuple[str, float, str],
    anchor: tuple[str, float],
    conditions: str,
    *,
    digits: int | None = 3,
    ratio: float | None = None,
) -> Line:
    """Return one line: `measured` is name, value and unit, `anchor` what it is and its value.

    `digits` of both values, None for whole numbers; `ratio` is theirs unless it is given.
    """
    name, value, unit = measured
    return {
        "name": name,
        "value": round(value, digits),
        "unit": unit,
        "anchor": anchor[0],
        "anchor_value": round(anchor[1], digits),
        "ratio": round(value / anchor[1] if ratio is None else ratio, 3),
        "conditions": conditions,
    }
