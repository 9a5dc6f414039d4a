# SPDX-License-Identifier: Apache-2.0
"""How commands answer: the answer alone on standard output, all else on standard error."""

import json
import sys
from collections.abc import Mapping

from rich.console import Console

from analytics.tables import Grid, Output, plain_value, show


def answer(grid: Grid, output: Output) -> None:
    """Write rows to standard output."""
    show(grid, output, Console())


def answer_object(fields: Mapping[str, object], output: Output, title: str = "") -> None:
    """Write one object: a row a field for people, the whole object for programs."""
    if output is Output.TABLE:
        answer(Grid(("what", "value"), tuple(fields.items()), title), output)
    elif output is Output.JSON:
        sys.stdout.write(one_object(fields))
    else:
        answer(Grid(tuple(fields), (tuple(fields.values()),)), output)


def one_object(fields: Mapping[str, object]) -> str:
    """Return one JSON object as text that ends in a newline."""
    return json.dumps(plain_value(dict(fields)), ensure_ascii=False, indent=2) + "\n"


def tell(sentence: str) -> None:
    """Say something that is no answer, on standard error."""
    sys.stderr.write(f"singlepool: {sentence}\n")
