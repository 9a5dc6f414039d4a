# SPDX-License-Identifier: Apache-2.0
"""What is decided of each fleet and tenant event: fact, duplicate, late, early or impossible."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from msgspec import structs

from engine.outcomes import DUPLICATE, FACT, Outcome
from engine.tables import MAX_SLOTS
from schemas import fleet, tenants
from schemas.catalogue import Event
from schemas.ids import (
    ClusterName,
    DomainName,
    NodeName,
    RegionName,
    ReservationId,
    SkuName,
    TeamId,
    TenantName,
)
from schemas.jobs import JobSubmitted
from schemas.kinds import NodeHealth, SkuKind
from schemas.reasons import Rejection
from tests.engine.stage import SKU, TENANT, job, node
from tests.engine.telling import Refusal, Telling, matches, told

REGION, CLUSTER, DOMAIN, NODE = RegionName("r"), ClusterName("a"), DomainName("a-d"), NodeName("a0")
SPEC = node(NODE, CLUSTER)


def sku(generation: int, content: int) -> fleet.Sku:
    return fleet.Sku(SKU, generation, SkuKind.GPU, "any", content)


def region(generation: int, _: int) -> fleet.Region:
    return fleet.Region(REGION, generation)


def cluster(generation: int, content: int) -> fleet.Cluster:
    return fleet.Cluster(CLUSTER, generation, REGION, content)


def domain(generation: int, _: int) -> fleet.Domain:
    return fleet.Domain(DOMAIN, generation, CLUSTER)


def host(generation: int, content: int) -> fleet.Node:
    return structs.replace(SPEC, generation=generation, cpu_milli=content)


def tenant(generation: int, content: int) -> tenants.Tenant:
    return tenants.Tenant(TENANT, generation, content)


def team(generation: int, content: int) -> tenants.Team:
    return tenants.Team(TENANT, "red", generation, content)


def reservation(generation: int, content: int) -> tenants.Reservation:
    return tenants.Reservation(TENANT, "red", "home", generation, (SKU,), (REGION,), content)


@dataclass(frozen=True)
class Kind:
    """A kind of entity, what is said of one, and what it stands on."""

    key: str
    entity: Callable[[int, int], object]
    """The entity at a generation, with some content."""
    declares: Callable[[Any], Event]
    changes: Callable[[Any], Event]
    removed: Callable[[int], Event]
    stands_on: tuple[str, ...] = ()

    def declared(self, generation: int, content: int) -> Event:
        """Its declaration."""
        return self.declares(self.entity(generation, content))

    def changed(self, generation: int, content: int) -> Event:
        """Its change."""
        return self.changes(self.entity(generation, content))


KINDS = {
    "sku": Kind(
        f"sku:{SKU}", sku, fleet.SkuDeclared, fleet.SkuChanged, partial(fleet.SkuRemoved, SKU)
    ),
    "region": Kind(
        f"region:{REGION}",
        region,
        fleet.RegionDeclared,
        fleet.RegionChanged,
        partial(fleet.RegionRemoved, REGION),
    ),
    "cluster": Kind(
        f"cluster:{CLUSTER}",
        cluster,
        fleet.ClusterDeclared,
        fleet.ClusterChanged,
        partial(fleet.ClusterRemoved, CLUSTER),
        ("region",),
    ),
    "domain": Kind(
        f"domain:{DOMAIN}",
        domain,
        fleet.DomainDeclared,
        fleet.DomainChanged,
        partial(fleet.DomainRemoved, DOMAIN),
        ("region", "cluster"),
    ),
    "node": Kind(
        f"node:{NODE}",
        host,
        fleet.NodeDeclared,
        fleet.NodeChanged,
        partial(fleet.NodeRemoved, NODE),
        ("region", "cluster", "domain", "sku"),
    ),
    "tenant": Kind(
        f"tenant:{TENANT}",
        tenant,
        tenants.TenantDeclared,
        tenants.TenantChanged,
        partial(tenants.TenantRemoved, TENANT),
    ),
    "team": Kind(
        f"team:{TENANT}/red",
        team,
        tenants.TeamDeclared,
        tenants.TeamChanged,
        partial(tenants.TeamRemoved, TENANT, "red"),
        ("tenant",),
    ),
    "reservation": Kind(
        f"reservation:{TENANT}/home",
        reservation,
        tenants.ReservationGranted,
        tenants.ReservationChanged,
        partial(tenants.ReservationEnded, TENANT, "home"),
        ("region", "cluster", "domain", "sku", "node", "tenant", "team"),
    ),
}
WITH_CONTENT = [name for name, kind in KINDS.items() if kind.entity(1, 1) != kind.entity(1, 2)]


def ground(kind: str) -> tuple[Event, ...]:
    """What an entity of a kind stands on, declared."""
    return tuple(KINDS[name].declared(1, 3) for name in KINDS[kind].stands_on)


every_kind = pytest.mark.parametrize("name", KINDS)


@every_kind
def test_an_entity_comes_changes_goes_and_comes_back(name: str) -> None:
    """Each higher generation is a fact, and each fact told again a duplicate."""
    kind, story = KINDS[name], list(ground(name))
    for event in (
        kind.declared(1, 1),
        kind.changed(2, 2),
        kind.declared(3, 1),  # an upstream that only ever declares
        kind.removed(3),
        kind.declared(4, 2),
        kind.removed(9),
    ):
        assert told(story, event) == FACT
        story.append(event)


@every_kind
def test_what_is_late_has_no_effect(name: str) -> None:
    """A lower generation than the known one, or than the one that went, is a duplicate."""
    kind = KINDS[name]
    known = (*ground(name), kind.declared(3, 1))
    gone = (*known, kind.removed(3))
    for late in (kind.declared(2, 2), kind.changed(2, 2), kind.removed(2)):
        assert told(known, late) == DUPLICATE
    for late in (kind.declared(3, 1), kind.changed(2, 1), kind.removed(3)):
        assert told(gone, late) == DUPLICATE


@every_kind
def test_what_is_early_waits_for_its_declaration(name: str) -> None:
    """A change or an end of what nobody declared yet waits for it."""
    kind = KINDS[name]
    for early in (kind.changed(1, 1), kind.removed(1)):
        assert matches(told(ground(name), early), kind.key)


@every_kind
def test_what_an_entity_stands_on_comes_first(name: str) -> None:
    """It is parked for the first thing that is missing, and a fact once all is there."""
    kind, story = KINDS[name], list[Event]()
    waited: list[str] = []
    for need in kind.stands_on:
        outcome = told(story, kind.declared(1, 1))
        waited += [k.key for k in KINDS.values() if matches(outcome, k.key)]
        story.append(KINDS[need].declared(1, 3))
    assert told(story, kind.declared(1, 1)) == FACT
    assert set(waited) <= {KINDS[need].key for need in kind.stands_on}
    assert len(waited) == len(kind.stands_on)


@pytest.mark.parametrize("name", WITH_CONTENT)
def test_one_generation_has_one_content(name: str) -> None:
    """The same generation with other content is a conflict that names the generation."""
    kind = KINDS[name]
    known = (*ground(name), kind.declared(2, 1))
    rule = f"{kind.key} is known at this generation with other content"
    refusal: Refusal = (Rejection.CONFLICT, "generation", 2, rule)
    assert matches(told(known, kind.declared(2, 2)), refusal)
    assert matches(told(known, kind.changed(2, 2)), refusal)


ALL = (*ground("reservation"), KINDS["reservation"].declared(1, 2))


@pytest.mark.parametrize(
    ("name", "value", "user"),
    [
        ("sku", SKU, f"still used by node {NODE}"),
        ("region", REGION, f"still used by cluster {CLUSTER}"),
        ("cluster", CLUSTER, f"still used by domain {DOMAIN}"),
        ("domain", DOMAIN, f"still used by node {NODE}"),
        ("tenant", TENANT, f"still has team {TENANT}/red"),
        ("team", "red", f"still has reservation {TENANT}/home"),
    ],
)
def test_what_others_stand_on_stays(name: str, value: str, user: str) -> None:
    """Its end is refused, and the rule names who uses it."""
    refusal: Refusal = (Rejection.IN_USE, "name", value, user)
    assert matches(told(ALL, KINDS[name].removed(1)), refusal)


def test_a_team_with_work_stays() -> None:
    """A team's end is refused while a job of it lives."""
    spec = job("works", team="red")
    story = (*ground("reservation"), JobSubmitted(spec))
    refusal: Refusal = (Rejection.IN_USE, "name", "red", f"still has job {spec.id}")
    assert matches(told(story, KINDS["team"].removed(1)), refusal)


def test_a_reservation_must_fit() -> None:
    """More than the fleet has is refused, and the rule says how much there is."""
    refusal: Refusal = (Rejection.OVER_CAPACITY, "reservation.devices", 5, "4 devices")
    assert matches(told(ground("reservation"), KINDS["reservation"].declared(1, 5)), refusal)


def test_a_node_has_no_more_slots_than_the_engine_can_hold() -> None:
    """The refusal names the most."""
    large = structs.replace(SPEC, devices=MAX_SLOTS + 1)
    rule = f"at most {MAX_SLOTS} device slots"
    refusal: Refusal = (Rejection.INVALID_VALUE, "node.devices", MAX_SLOTS + 1, rule)
    assert matches(told(ground("node"), fleet.NodeDeclared(large)), refusal)


THERE = (*ground("node"), fleet.NodeDeclared(SPEC))
GONE = (*THERE, fleet.NodeRemoved(NODE, 1))
ILL = NodeHealth.QUARANTINED


@pytest.mark.parametrize(
    ("story", "event", "expected"),
    [
        (THERE, fleet.NodeHealthReported(NODE, 1, ILL), FACT),
        (THERE, fleet.DeviceChanged(NODE, 3, 1, usable=False), FACT),
        (THERE, fleet.DeviceRemoved(NODE, 0, 1), FACT),
        (THERE, fleet.DeviceDeclared(NODE, 0, 1), FACT),
        ((), fleet.NodeHealthReported(NODE, 1, ILL), f"node:{NODE}"),
        ((), fleet.DeviceDeclared(NODE, 0, 1), f"node:{NODE}"),
        ((), fleet.DeviceChanged(NODE, 0, 1, usable=False), f"node:{NODE}"),
        ((), fleet.DeviceRemoved(NODE, 0, 1), f"node:{NODE}"),
        (GONE, fleet.NodeHealthReported(NODE, 9, ILL), DUPLICATE),
        (GONE, fleet.DeviceRemoved(NODE, 0, 9), DUPLICATE),
        (
            THERE,
            fleet.DeviceChanged(NODE, 4, 1, usable=False),
            (Rejection.INVALID_VALUE, "slot", 4, f"node {NODE} has slots 0 to 3"),
        ),
    ],
)
def test_reports_of_nodes_and_devices(
    story: tuple[Event, ...], event: Event, expected: Outcome | str | Refusal
) -> None:
    """A report needs its node and a slot that it has; of a node that is gone nothing counts."""
    assert matches(told(story, event), expected)


def test_reports_of_a_node_count_in_the_order_of_their_sequence() -> None:
    """What is said late undoes nothing; health and devices count each for itself."""
    telling = Telling(*THERE)
    assert telling.hear(fleet.NodeHealthReported(NODE, 5, ILL)) == FACT
    assert telling.hear(fleet.NodeHealthReported(NODE, 4, NodeHealth.HEALTHY)) == DUPLICATE
    assert telling.state.nodes[NODE].health is ILL
    assert telling.hear(fleet.DeviceChanged(NODE, 1, 5, usable=False)) == FACT
    assert telling.hear(fleet.DeviceDeclared(NODE, 1, 4)) == DUPLICATE
    assert telling.state.nodes[NODE].unusable == (1,)
    assert telling.hear(fleet.DeviceDeclared(NODE, 1, 6)) == FACT
    assert telling.state.nodes[NODE].unusable == ()


def test_the_state_holds_what_was_declared_and_nothing_that_is_gone() -> None:
    """What evolve keeps of each entity is what upstream said last."""
    telling = Telling(*ALL)
    state = telling.state
    telling.hear(KINDS["cluster"].changed(2, 77))
    telling.hear(KINDS["reservation"].changed(2, 4))
    assert state.clusters[CLUSTER] == cluster(2, 77)
    assert state.reservations[ReservationId(f"{TENANT}/home")] == reservation(2, 4)
    for name in reversed(KINDS):
        assert telling.hear(KINDS[name].removed(9)) == FACT
    assert not state.reservations
    assert TeamId(f"{TENANT}/red") not in state.teams
    assert TenantName(TENANT) not in state.tenants
    assert SkuName(SKU) not in state.skus
    assert (state.regions, state.clusters, state.domains) == ({}, {}, {})
    assert state.nodes[NODE].gone
