# SPDX-License-Identifier: Apache-2.0
"""Record keys: events of one entity share one, so that they stay in order."""

import pytest

from schemas.catalogue import CATALOGUE, Event, EventType, Family
from schemas.errors import CallerError
from schemas.fleet import DeviceChanged, NodeHealthReported, NodeRemoved, SkuRemoved
from schemas.ids import DeploymentId, NodeName, RegionName, SkuName, TenantName, job_id
from schemas.jobs import JobCancelled
from schemas.kinds import NodeHealth
from schemas.serving import DeploymentRemoved, RequestProfile, RequestProfileObserved
from schemas.tenants import TeamRemoved, TenantRemoved
from streams.kafka.keys import key_of
from tests.schemas.samples import SAMPLES

NODE, ACME = NodeName("n-1"), TenantName("acme")
PROFILE = RequestProfile(DeploymentId("acme/chat@3"), RegionName("r"), 0, 1, 1, 1, 1, 1, 1, 1, "gw")


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (SkuRemoved(SkuName("h100"), 1), b"h100"),
        (NodeRemoved(NODE, 1), b"n-1"),
        (DeviceChanged(NODE, 3, 1, usable=False), b"n-1"),
        (NodeHealthReported(NODE, 1, NodeHealth.HEALTHY), b"n-1"),
        (TenantRemoved(ACME, 1), b"acme"),
        (TeamRemoved(ACME, "ml", 1), b"acme"),
        (JobCancelled(job_id("acme", "train-7", 2)), b"acme/train-7@2"),
        (DeploymentRemoved(ACME, "chat", 4), b"acme/chat"),
        (RequestProfileObserved(PROFILE), b"acme/chat"),
    ],
)
def test_a_key_names_what_the_event_is_about(event: Event, key: bytes) -> None:
    """A node for all of its parts, a tenant for its teams, a deployment over its generations."""
    assert key_of(event) == key


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.ce_type)
def test_every_upstream_event_has_a_key_and_no_decision_has_one(entry: EventType) -> None:
    """No event type was forgotten; what the engine says is ordered by the ledger itself."""
    event = SAMPLES[entry.event]
    if entry.family is Family.DECISION:
        with pytest.raises(CallerError, match="engine"):
            key_of(event)
    else:
        assert key_of(event)
