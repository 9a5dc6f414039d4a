# SPDX-License-Identifier: Apache-2.0
"""What a live run is held to once it has ended: one state, told three times, and plans made again.

The engine's own digest is the one of its last snapshot. The ledger on Kafka is folded here, as an
embedded ledger is. The archive is folded once more by `replay --verify`.
"""

from dataclasses import dataclass

from msgspec import Struct, structs

from analytics.audit import verify as verify_archive
from compose.folding import archived, folded
from compose.places import RunFolder
from compose.progress import progress
from compose.run import verify as verify_plans
from engine.digest import Digest
from schemas.codec import decode_record
from schemas.ledger import scan
from streams.kafka.connection import Connection
from streams.kafka.reader import KafkaReader
from streams.kafka.topics import Topology
from streams.live.announced import newest


@dataclass(frozen=True, slots=True)
class Ended:
    """A run all of whose processes have left."""

    connection: Connection
    topology: Topology
    folder: RunFolder
    verify_one_in: int
    restarts: int


class Proof(Struct, frozen=True):
    """What was found; `sound` if the three digests are one and nothing differs."""

    records: int
    jobs: int
    jobs_ended: int
    cycles: int
    plans_checked: int
    plans_diverged: int
    archive_damages: int
    archived_records: int
    restarts: int
    engine_position: int
    engine_digest: str
    ledger_digest: str
    archive_digest: str

    @property
    def sound(self) -> bool:
        """Whether everything agrees."""
        digests = {self.engine_digest, self.ledger_digest, self.archive_digest}
        positions = {self.engine_position, self.records, self.archived_records}
        damages = self.plans_diverged + self.archive_damages
        return len(digests) == 1 and len(positions) == 1 and not damages

    def fields(self) -> dict[str, object]:
        """Return it as an answer."""
        return {**structs.asdict(self), "sound": self.sound}


def proof(ended: Ended) -> Proof:
    """Fold ledger and archive of a run that has ended, and make its plans again."""
    with KafkaReader(ended.connection, ended.topology) as ledger:
        state = folded(map(decode_record, scan(ledger)))
    told = newest(ended.connection, ended.topology)
    archive = ended.folder.archive
    with progress("planning again", archived(archive), "records") as watch:
        checked = verify_plans(archive, ended.verify_one_in, None, watch)
    return Proof(
        records=state.head,
        jobs=len(state.jobs),
        jobs_ended=sum(totals.ended for totals in state.tiers.values()),
        cycles=checked.cycles,
        plans_checked=checked.same_build + checked.other_build,
        plans_diverged=checked.diverged,
        archive_damages=len(verify_archive(archive).findings),
        archived_records=checked.records,
        restarts=ended.restarts,
        engine_position=told.position if told else 0,
        engine_digest=told.digest.hex() if told else "",
        ledger_digest=Digest().update(state).hex(),
        archive_digest=checked.digest.hex(),
    )
