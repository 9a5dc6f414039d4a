# SPDX-License-Identifier: Apache-2.0
"""A state stored and restored goes on as the fold would: same bytes, same digest, same plans."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import cast

import numpy as np
import pytest
from msgspec import json, msgpack, structs

from engine.digest import Digest
from engine.evolve import evolve
from engine.job_state import JobState
from engine.phases import Phase
from engine.planning import plan
from engine.rules import RULES
from engine.snapshot import cut
from engine.state import Memory, NodeState, State, TierTotals
from engine.stored import StoredStateError, restore, store
from engine.stored_form import (
    VERSION,
    StoredMemory,
    StoredNode,
    StoredProgress,
    StoredState,
    StoredTotals,
)
from engine.wakeup import next_wakeup
from schemas import fleet, jobs
from schemas.codec import decode_record
from schemas.decisions import CycleOpened, RulesActivated
from schemas.errors import InternalError
from schemas.ids import ClusterName, DomainName, RegionName
from schemas.kinds import NodeHealth
from schemas.records import Record
from streams.host import Host
from tests.engine.stage import Stage, genesis, job
from tests.engine.test_machine import EngineMachine
from tests.engine.test_replay import busy_stage

LAYOUT = {1: "98a6892e5530e027"}
"""Version of the stored form to the fingerprint of its fields and their types."""


def records_of(stage: Stage) -> Iterator[Record]:
    """The records of a stage's ledger."""
    for data in stage.ledger:
        record = decode_record(data)
        assert record is not None
        yield record


def is_cut(state: State) -> bool:
    """Whether a state may be stored."""
    return state.policy is not None and not state.open_cycle


def assert_alike(one: State, other: State) -> None:
    """Two states are the same in all that is stored, and in the tables that are derived."""
    assert store(one) == store(other)
    assert Digest().update(restore(store(one))) == Digest().update(restore(store(other)))
    rows = len(one.node_table.names)
    for table in ("milli", "host", "place", "usable"):
        arrays = (getattr(state.node_table, table)[:rows] for state in (one, other))
        assert np.array_equal(*arrays), table
    for derived in ("indices", "index_names", "kinds", "latest_generation", "waiting_events"):
        assert getattr(one, derived) == getattr(other, derived), derived
    assert list(one.live) == list(other.live)
    for name, node in one.nodes.items():
        for pieces in ("holders", "claimants", "growths"):
            assert getattr(node, pieces) == getattr(other.nodes[name], pieces)
    assert next_wakeup(one, one.now_ms) == next_wakeup(other, other.now_ms)


def assert_snapshots_hold(ledger: Iterator[Record], keep_one_in: int = 25) -> int:
    """Fold from zero; restore at every valid cut, and go on from there beside it.

    One relay is restored anew at every cut; of the others, some are folded on to the end. Return
    at how many cuts.
    """
    state, relay, cuts = State(), None, 0
    others: list[State] = []
    for record in ledger:
        if isinstance(record.event, CycleOpened) and relay is not None:
            now_ms = record.recorded_ms
            assert plan(cut(relay, now_ms)) == plan(cut(state, now_ms))
        for each in (state, relay, *others):
            if each is not None:
                evolve(each, record)
        if not is_cut(state):
            continue
        if relay is not None:
            assert_alike(relay, state)
            assert relay.take_directives() == state.take_directives()
        state.directives.clear()
        relay = restore(store(state))
        if cuts % keep_one_in == 0:
            others.append(restore(store(state)))
        cuts += 1
    running = Digest().update(state)
    assert {Digest().update(other) for other in others} <= {running}
    assert {store(other) for other in others if is_cut(other)} <= {store(state)}
    return cuts


def test_at_every_cut_of_a_busy_history_a_restored_state_goes_on_alike() -> None:
    """Placements, moves, resizes, claims, ends: bytes, digests, directives and plans agree."""
    stage = busy_stage()
    assert assert_snapshots_hold(records_of(stage)) > 40


class StoredMachine(EngineMachine):
    """Random histories, stored and restored at every cut."""

    def teardown(self) -> None:
        """Restore at every cut of the ledger and go on from there."""
        if hasattr(self, "stage"):
            assert_snapshots_hold(records_of(self.stage))


TestStoredMachine = StoredMachine.TestCase


def test_a_restored_host_writes_the_ledger_that_the_first_would_have_written() -> None:
    """The engine itself goes on from a snapshot: the same bytes, the same state digests in them."""
    stage, other = busy_stage(), busy_stage()
    other.state = restore(store(other.state))
    other.host = Host(other.state, "stage")
    for each in (stage, other):
        each.submit(job("late", 8, least=2), job("later", 2))
        each.wait(3_600_000)
        each.settle()
    assert other.ledger == stage.ledger


def test_the_digest_of_a_restored_state_is_that_of_the_state() -> None:
    """A new digest over a restored state hashes all of it, and goes on by what changes."""
    stage = busy_stage()
    restored, digest = restore(store(stage.state)), Digest()
    assert digest.update(restored) == stage.host.digest.update(stage.state)
    before = len(stage.ledger)
    stage.submit(job("next"))
    for record in list(records_of(stage))[before:]:
        evolve(restored, record)
    assert digest.update(restored) == stage.host.digest.update(stage.state)


def test_pools_keep_their_numbers_and_a_domain_takes_its_nodes_to_another_cluster() -> None:
    """A domain moves between clusters and back: the numbers of pools stay those of the history."""
    stage = Stage()
    stage.tell(*genesis())
    stage.submit(job("here", 2), job("there", 4))
    moved = fleet.Domain(DomainName("a-d"), 2, ClusterName("b"))
    stage.tell(fleet.DomainChanged(moved))
    pools = {stage.state.node_table.place[n.row, 1] for n in stage.state.nodes.values()}
    assert len(pools) == 1
    stage.tell(fleet.ClusterDeclared(fleet.Cluster(ClusterName("c"), 1, RegionName("r"), 1)))
    stage.tell(fleet.DomainChanged(fleet.Domain(DomainName("a-d"), 3, ClusterName("c"))))
    stage.submit(structs.replace(job("new", 3), workload_class="of another kind"))
    assert assert_snapshots_hold(records_of(stage)) > 10


def test_a_job_is_planned_from_the_pool_it_is_in_after_its_domain_moved() -> None:
    """The row of a running job follows its node, however long ago the job itself changed."""
    stage = Stage()
    stage.tell(*genesis())
    stage.submit(job("runs", 4))
    snapshot = cut(stage.state, stage.now_ms)
    first = snapshot.fleet.pools[int(snapshot.column("pool")[0])][0]
    domain = DomainName(f"{first}-d")
    other = ClusterName("b" if first == "a" else "a")
    stage.tell(fleet.DomainChanged(fleet.Domain(domain, 2, other)))
    snapshot = cut(stage.state, stage.now_ms)
    assert snapshot.fleet.pools[int(snapshot.column("pool")[0])][0] == other


def test_a_cancelled_gang_that_also_failed_over_is_still_to_be_stopped() -> None:
    """What no phase tells is stored: who was cancelled and has not been told to stop."""
    stage = Stage()
    stage.tell(*genesis())
    stage.submit(job("gone", 4))
    gone = stage.state.jobs[job("gone", 4).id]
    lost = fleet.NodeHealthReported(gone.slices[0].node, 1, NodeHealth.QUARANTINED)
    for event in (jobs.JobCancelled(gone.id), lost):
        evolve(stage.state, Record(stage.state.head, stage.now_ms, event))
    assert gone.phase is Phase.STOPPING
    assert list(restore(store(stage.state)).cancelled_holding) == [gone.id]


def test_no_state_is_stored_inside_a_batch_or_before_a_policy() -> None:
    """A snapshot is of a valid cut, or it is not made."""
    with pytest.raises(InternalError, match="no policy is active"):
        store(State())
    stage = busy_stage()
    evolve(stage.state, Record(stage.state.head, stage.now_ms, CycleOpened(99, 1)))
    with pytest.raises(InternalError, match="a cycle is open"):
        store(stage.state)


def test_other_bytes_and_other_versions_are_refused() -> None:
    """What this build cannot restore it names, and says what helps."""
    data = store(busy_stage().state)
    name, version, body = msgpack.decode(data, type=tuple[str, int, dict[str, object]])
    with pytest.raises(StoredStateError, match=f"version {version}, not .* version 99; use an old"):
        restore(msgpack.encode((name, 99, body)))
    with pytest.raises(StoredStateError, match="not 'a cake'"):
        restore(msgpack.encode(("a cake", version, body)))
    with pytest.raises(StoredStateError, match=f"{len(data) - 9} bytes are not"):
        restore(data[:-9])
    with pytest.raises(StoredStateError, match="missing required field `kinds`"):
        restore(msgpack.encode((name, version, {k: v for k, v in body.items() if k != "kinds"})))
    with pytest.raises(StoredStateError, match="rules version 77"):
        restore(msgpack.encode((name, version, body | {"rules": 77})))


def test_every_rules_version_is_stored() -> None:
    """A state under older rules goes on under them."""
    stage = Stage()
    for rules in sorted(RULES):
        evolve(stage.state, Record(stage.state.head, stage.now_ms, RulesActivated(rules)))
        assert restore(store(stage.state)).rules is RULES[rules]


def test_all_that_the_fold_knows_is_stored_or_derived() -> None:
    """A new slot of a fold's object is stored, or named here as derived from what is."""
    derived = {"id", "spec", "time", "key", "worker_milli", "row", "team_index", "kind_index"}
    assert set(JobState.__slots__) - set(StoredProgress.__struct_fields__) == derived
    derived = {"row", "holders", "claimants", "growths"}
    assert set(NodeState.__slots__) - set(StoredNode.__struct_fields__) == derived
    assert set(TierTotals.__slots__) == set(StoredTotals.__struct_fields__)
    assert set(Memory.__slots__) == set(StoredMemory.__struct_fields__)
    derived = {
        "open_cycle",
        "live",
        "job_table",
        "stale",
        "node_table",
        "indices",
        "fleet_version",
        "fleet_cut",
        "waiting_events",
        "latest_generation",
        "directives",
        "dirty",
    }
    assert set(vars(State())) - set(StoredState.__struct_fields__) == derived


def test_the_stored_form_changes_only_with_its_version() -> None:
    """Other fields or types mean another version: raise VERSION and record the new fingerprint."""
    form = json.encode(undescribed(json.schema(StoredState)), order="deterministic")
    assert sha256(form).hexdigest()[:16] == LAYOUT[VERSION]


def undescribed(schema: object) -> object:
    """A schema without its prose."""
    if isinstance(schema, dict):
        parts = cast("dict[str, object]", schema)
        return {key: undescribed(part) for key, part in parts.items() if key != "description"}
    if isinstance(schema, list | tuple):
        return [undescribed(part) for part in cast("Sequence[object]", schema)]
    return schema
