# SPDX-License-Identifier: Apache-2.0
"""The command line's root.

Commands are named here and imported only when called, so that --help is quick. `compose.exits` says
what the exit codes mean.
"""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Group

from compose.exits import Exit, NotFoundError
from schemas.errors import CallerError, DecodeError, WorldError

_PLAY, _PUBLISH, _ASK, _PROVE, _KAFKA = (
    Group(name, sort_key=at)
    for at, name in enumerate(("Play", "Publish", "Ask", "Replay, check", "On Kafka"))
)
_BROKEN_PIPE = 128 + 13
_INTERRUPTED = 128 + 2


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415  # a tenth of the time of --help

    return version("singlepool")


app = App(
    name="singlepool",
    help="One scheduler for one global fleet: play, ask, replay.",
    help_epilogue=(
        "Every command takes --output table|json|ndjson|csv. Exit codes: 0 done, 1 failed, "
        "2 wrong use, 3 a divergence or damage was found, 4 not found."
    ),
    help_format="plaintext",  # Markdown takes a third of the time that --help has
    version=_version,
    version_flags=["--version"],
)


_functions: set[str] = set()
"""The commands that are one function, whose docstring is their help."""


def _offer(group: Group, name: str, path: str, says: str) -> None:
    _offer_group(group, name, path, says)
    _functions.add(name)


def _offer_group(group: Group, name: str, path: str, says: str) -> None:
    app.command(f"compose.{path}", name=name, help=says, group=group, sort_key=len(list(app)))


_offer(_PLAY, "demo", "demo:demo", "Play a real trace through the whole loop, and compare.")
_offer(_PLAY, "run", "playing:run", "Play the Philly trace once, into a folder of its own.")
_offer(_PLAY, "up", "up:up", "Run all of it on a real Kafka here, and play a trace live.")
_offer(_PUBLISH, "publish", "publishing:publish", "Publish a file of events to an engine here.")
_offer_group(_PUBLISH, "rejected", "refused:rejected", "Refused events: list, show, publish again.")
_offer(_ASK, "fleet", "look:fleet", "The clusters: nodes, devices, what is held of them.")
_offer(_ASK, "queue", "look:queue", "Who waits, for how long, and why.")
_offer(_ASK, "job", "look:job", "One job's whole life.")
_offer(_ASK, "explain", "explain:explain", "Why a job runs or waits, and what would help.")
_offer(_ASK, "query", "look:query", "Any question to the history, in SQL.")
_offer(_PROVE, "replay", "replay:replay", "Fold the archive to a moment; plan again and compare.")
_offer_group(_PROVE, "archive", "replay:archive", "The archive: check every byte, restore.")
_offer(_PROVE, "doctor", "check:doctor", "Check this installation and a run's folder.")
_offer(_PROVE, "version", "check:show_version", "Version and build fingerprint.")
_offer_group(_KAFKA, "broker", "broker.commands:broker", "A real broker on this machine: up, down.")
_offer(_KAFKA, "tail", "watch:tail", "The ledger's records as they come: of a job, of a type.")
_offer(_KAFKA, "lag", "watch:lag", "Who is how far: intake, engine, archive.")
_offer_group(_KAFKA, "serve", "serve:serve", "Long-running processes: intake, engine, archive.")
_offer_group(_KAFKA, "topics", "topics:topics", "The declared topics on a broker: plan, apply.")


def main() -> None:
    """Run the command that the arguments name, and end with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; an error is a sentence on standard error."""
    try:
        if arguments and arguments[0] in _functions:
            app[arguments[0]].help = None  # the line of the root's list gives way to the docstring
        done = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        asked = " ".join(("singlepool", *(error.command_chain or ())))
        return _end(Exit.USAGE, f"{str(error).rstrip(' .,')}; see {asked} --help")
    except (CallerError, WorldError) as error:
        return _end(_code(error), str(error))
    except BrokenPipeError:
        # Who reads has seen enough; nothing may be written any more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        return _INTERRUPTED
    return done if isinstance(done, int) else Exit.DONE


def _end(code: Exit, sentence: str) -> Exit:
    sys.stderr.write(f"singlepool: {sentence}\n")
    return code


def _code(error: CallerError | WorldError) -> Exit:
    """Return how a command ends that met this error."""
    from analytics.errors import ArchiveDamagedError, LedgerGapError  # noqa: PLC0415  # --help is quick
    from schemas.ledger import CorruptLedgerError, NoSuchRejectedError  # noqa: PLC0415  # as above

    match error:
        case NotFoundError() | NoSuchRejectedError():
            return Exit.NOT_FOUND
        case ArchiveDamagedError() | CorruptLedgerError() | LedgerGapError():
            return Exit.DIVERGED
        case DecodeError():
            return Exit.FAILED
        case CallerError():
            return Exit.USAGE
        case _:
            return Exit.FAILED


if __name__ == "__main__":
    main()
