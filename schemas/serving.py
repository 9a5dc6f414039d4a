# SPDX-License-Identifier: Apache-2.0
"""Served models and their request profiles: contract only, the engine refuses them for now."""

from msgspec import Struct

from schemas.ids import DeploymentId, RegionName, TenantName
from schemas.kinds import ApiKind


class Deployment(Struct, frozen=True):
    """A tenant's served model."""

    tenant: TenantName
    name: str
    generation: int
    team: str
    api: ApiKind
    model: str
    provisioned_tokens_per_s: int


class RequestProfile(Struct, frozen=True):
    """One window of a deployment's requests from one region, as one source counted them."""

    deployment: DeploymentId
    origin_region: RegionName
    window_start_ms: int
    window_ms: int
    requests: int
    prompt_tokens: int
    output_tokens: int
    reused_prefix_tokens: int
    latency_p50_ms: int
    latency_p99_ms: int
    source: str


class DeploymentDeclared(Struct, frozen=True):
    """A tenant asks for a served model."""

    deployment: Deployment


class DeploymentChanged(Struct, frozen=True):
    """A served model is now as stated."""

    deployment: Deployment


class DeploymentRemoved(Struct, frozen=True):
    """A served model is no longer wanted."""

    tenant: TenantName
    name: str
    generation: int


class RequestProfileObserved(Struct, frozen=True):
    """One window of requests; one with more requests replaces it."""

    profile: RequestProfile


class RequestServed(Struct, frozen=True):
    """A gateway answered a request: raw, folded by intake into windows."""

    deployment: DeploymentId
    origin_region: RegionName
    gateway: str
    boot: int
    sequence: int
    served_ms: int
    prompt_tokens: int
    output_tokens: int
    reused_prefix_tokens: int
    latency_ms: int


ServingEvent = (
    DeploymentDeclared
    | DeploymentChanged
    | DeploymentRemoved
    | RequestProfileObserved
    | RequestServed
)
