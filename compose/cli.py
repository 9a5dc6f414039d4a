# SPDX-License-Identifier: Apache-2.0
"""The command line's root.

Commands are named here and imported only when called, so that --help is quick.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 a divergence or damage was found, 4 not found.
"""

import sys
from importlib.metadata import version

from cyclopts import App

FAILED, USAGE, DIVERGED, NOT_FOUND = 1, 2, 3, 4

app = App(
    name="singlepool",
    help="One scheduler for one global fleet: play, ask, replay.",
    version=lambda: version("singlepool"),
    version_flags=["--version"],
)
app.command("compose.demo:demo", name="demo")
app.command("compose.commands:run", name="run")
app.command("compose.commands:publish", name="publish")
app.command("compose.commands:rejected", name="rejected")
app.command("compose.commands:fleet", name="fleet")
app.command("compose.commands:queue", name="queue")
app.command("compose.commands:job", name="job")
app.command("compose.commands:explain", name="explain")
app.command("compose.commands:query", name="query")
app.command("compose.commands:replay", name="replay")
app.command("compose.commands:doctor", name="doctor")
app.command("compose.commands:show_version", name="version")
archive = App(name="archive", help="The archive of a ledger.")
archive.command("compose.commands:archive_verify", name="verify")
app.command(archive)
broker = App(name="broker", help="A real Kafka broker on this machine's JVM.")
broker.command("compose.broker.commands:up", name="up")
broker.command("compose.broker.commands:down", name="down")
broker.command("compose.broker.commands:status", name="status")
app.command(broker)


def main() -> None:
    """Run the command that the arguments name.

    An error of the caller or the world is a sentence, not a traceback.
    """
    from schemas.errors import CallerError, WorldError  # noqa: PLC0415  # kept off the path of --help

    try:
        app()
    except (CallerError, WorldError) as error:
        sys.stderr.write(f"singlepool: {error}\n")
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
