# SPDX-License-Identifier: Apache-2.0
"""What an operator writes down in TOML, read as a value."""

import tomllib
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, ValidationError, convert

from schemas.errors import CallerError

Form = TypeVar("Form", bound=Struct)


def read_toml(path: Path, form: type[Form], failure: type[CallerError], wrong: str) -> Form:
    """Return a file's values as `form`.

    Raises `failure`: it cannot be read, or what it says is no such form, which `wrong` says in
    words that follow the file's name.
    """
    try:
        return convert(tomllib.loads(path.read_text(encoding="utf-8")), form)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise failure(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        msg = f"{path} {wrong}: {error}"
        raise failure(msg) from error
