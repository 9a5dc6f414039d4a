# SPDX-License-Identifier: Apache-2.0
"""`singlepool archive restore`: a ledger on a broker from its archive, after the broker lost it."""

from collections.abc import Iterator
from itertools import islice

from analytics.audit import read_envelopes
from analytics.tables import Output
from compose.answers import answer_object
from compose.arguments import Home, Shown
from compose.broker.layout import OPERATOR
from compose.exits import UsageError
from compose.folding import archived
from compose.installation import HERE, Where
from compose.places import RunFolder
from compose.progress import progress
from compose.serve import SERVED
from schemas.ledger import Batch
from streams.kafka.ledger import KafkaLedger

_AT_ONCE = 500
_OWNER = "singlepool archive restore"


def restore(*, home: Home = SERVED, where: Where = HERE, output: Shown = Output.TABLE) -> None:
    """Append an archive's records to the ledger on a broker, which holds none or the first of them.

    Stop the engines first, and let the topics have a new prefix. What was interrupted
    goes on when asked again. Events after the archive's end come again from upstream.

    Example: singlepool archive restore --home out/live --prefix restored.
    """
    archive = RunFolder(home).with_archive().archive
    end = archived(archive)
    with KafkaLedger(where.connection(OPERATOR), where.topology()) as ledger:
        begin = ledger.head()
        records = _after(ledger, begin, read_envelopes(archive, max(0, begin - 1)))
        if begin < end:
            lease = ledger.acquire(_OWNER)
            with progress("restoring", end, "records") as watch:
                while part := list(islice(records, _AT_ONCE)):
                    watch(ledger.append(lease, ledger.head(), Batch(part)))
        answer_object({"appended": max(0, end - begin), "head": ledger.head()}, output)


def _after(ledger: KafkaLedger, head: int, records: Iterator[bytes]) -> Iterator[bytes]:
    """Return the records from the head on, once the one before it is seen to be the same."""
    if head and next(records, None) != ledger.read(head - 1, 1)[0]:
        msg = (
            f"{ledger.topology.ledger.name} holds {head:,} records that are not this archive's; "
            "name topics that hold none: --prefix"
        )
        raise UsageError(msg)
    return records
