# SPDX-License-Identifier: Apache-2.0
"""Reservations are admitted while all of them fit what survives the failure buffer."""

from msgspec import structs

from engine.digest import Digest
from engine.policies import POOL
from engine.stored import restore, store
from schemas import fleet, tenants
from schemas.decisions import Policy
from schemas.ids import ClusterName, DomainName, NodeName, RegionName
from schemas.reasons import Rejection
from streams.host import Batch
from tests.engine.stage import TENANT, Stage, genesis, node


def reserving(policy: Policy = POOL) -> Stage:
    """The stage's sixteen devices in region r, and eight more in each of regions s and t."""
    stage = Stage(policy)
    stage.tell(*genesis(reserved=0))
    for name in ("s", "t"):
        region, cluster = RegionName(name), ClusterName(name)
        stage.tell(
            fleet.RegionDeclared(fleet.Region(region, 1)),
            fleet.ClusterDeclared(fleet.Cluster(cluster, 1, region, 1_000)),
            fleet.DomainDeclared(fleet.Domain(DomainName(f"{name}-d"), 1, cluster)),
            *(fleet.NodeDeclared(node(f"{name}{i}", name)) for i in range(2)),
        )
    return stage


def asked(name: str, devices: int, *regions: str, generation: int = 1) -> tenants.Reservation:
    """A reservation of the red team in some regions."""
    places = tuple(RegionName(region) for region in regions)
    return tenants.Reservation(TENANT, "red", name, generation, (), places, devices)


def grant(stage: Stage, reservation: tenants.Reservation) -> Batch:
    """Ask for a reservation."""
    return stage.tell(tenants.ReservationGranted(reservation))


def test_scopes_that_overlap_are_counted_together() -> None:
    """Each fits its own regions, and any two do; the three together want more than there is."""
    stage = reserving()
    assert not grant(stage, asked("one", 8, "s", "t")).refused
    assert not grant(stage, asked("two", 16, "r", "s")).refused
    (refusal,) = grant(stage, asked("three", 9, "r", "t")).refused
    assert refusal.outcome.rejection is Rejection.OVER_CAPACITY
    assert refusal.outcome.field == "reservation.devices"
    assert "beside 3 other reservations, 8 devices" in refusal.outcome.rule
    assert not grant(stage, asked("three", 8, "r", "t")).refused


def test_the_failure_buffer_stays_free() -> None:
    """With a quarter kept for failures, three quarters can be reserved."""
    stage = reserving(structs.replace(POOL, failure_buffer_ppm=250_000))
    assert grant(stage, asked("all", 25)).refused
    assert not grant(stage, asked("all", 24)).refused


def test_a_removed_node_holds_no_reservation_and_its_domain_may_go() -> None:
    """What left the fleet neither counts nor stands in the way."""
    stage = reserving()
    stage.tell(*(fleet.NodeRemoved(NodeName(f"t{i}"), 1) for i in range(2)))
    assert grant(stage, asked("t", 1, "t")).refused
    assert not stage.tell(fleet.DomainRemoved(DomainName("t-d"), 1)).refused
    assert not grant(stage, asked("all", 24)).refused
    restored = restore(store(stage.state))
    assert Digest().update(restored) == stage.host.digest.update(stage.state)


def test_giving_back_is_admitted_even_where_too_much_is_reserved() -> None:
    """A fleet that shrank below its reservations takes a lower one, and no higher one."""
    stage = reserving()
    grant(stage, asked("all", 32))
    stage.tell(fleet.NodeRemoved(NodeName("t0"), 1))
    lower, higher = asked("all", 30, generation=2), asked("all", 31, generation=3)
    assert not stage.tell(tenants.ReservationChanged(lower)).refused
    assert stage.tell(tenants.ReservationChanged(higher)).refused
