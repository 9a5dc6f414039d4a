# SPDX-License-Identifier: Apache-2.0
"""Looks at a broker's topics and makes them what is declared."""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewTopic

from streams.kafka.access import Grant, Resource, Right
from streams.kafka.connection import BrokerUnavailableError, Connection, failure_of, reason_of
from streams.kafka.plan import Action, FoundTopic, Plan, Step, configs, make_plan
from streams.kafka.topics import Topic, Topology

_PATIENCE_S = 30.0
_LOOK_S = 0.02


class Admin:
    """An administrator's view of one broker.

    Every method raises `BrokerUnavailableError` where the broker does not answer or refuses.
    """

    def __init__(self, connection: Connection) -> None:
        """Look at the broker of a connection."""
        self._connection = connection
        self._client: Any = AdminClient(connection.settings())  # its futures say no type

    def found(self) -> tuple[FoundTopic, ...]:
        """Return the topics that are there, without the broker's own, by name.

        Of several nodes one may not know yet what another made: that is not there yet.
        """
        try:
            listed = self._client.list_topics(timeout=_PATIENCE_S).topics
        except KafkaException as error:
            raise self._failed(error) from error
        names = sorted(name for name in listed if not name.startswith("__"))
        settings = self._settings(names)
        return tuple(
            FoundTopic(
                name,
                len(listed[name].partitions),
                min((len(p.replicas) for p in listed[name].partitions.values()), default=0),
                settings[name],
            )
            for name in names
            if name in settings
        )

    def given(self) -> frozenset[Grant] | None:
        """Return the grants that are there; None where the broker asks nobody who they are.

        The client makes no difference between a broker that has no grants and one that knows none.
        """
        if self._connection.security is None:
            return None
        anybody: Any = None  # which the client's own types do not know
        anything = AclBindingFilter(
            ResourceType.ANY,
            anybody,
            ResourcePatternType.ANY,
            anybody,
            anybody,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        future = self._client.describe_acls(anything, request_timeout=_PATIENCE_S)
        bindings: list[AclBinding] = self._answer(future)
        return frozenset(_grant(binding) for binding in bindings if _is_ours(binding))

    def plan(self, topology: Topology) -> Plan:
        """Return what stands between a declaration and this broker."""
        return make_plan(topology, self.found(), self.given())

    def apply(self, topology: Topology) -> Plan:
        """Do all of the plan that can be done, and return what is left of it.

        A broker tells of a change a moment after it has taken it; this returns when it does.
        """
        plan = self.plan(topology)
        self._create(topology, plan.topics)
        self._give(plan.grants)
        self._set([step for step in plan.steps if step.action is Action.SET])
        deadline = time.monotonic() + _PATIENCE_S
        while _to_do(plan := self.plan(topology)) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        return plan

    def _settings(self, names: Iterable[str]) -> dict[str, Mapping[str, str]]:
        asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        if not asked:
            return {}
        answers = self._client.describe_configs(asked, request_timeout=_PATIENCE_S)
        found = {
            str(resource.name): self._answer(future, fine=KafkaError.UNKNOWN_TOPIC_OR_PART)
            for resource, future in answers.items()
        }
        return {
            topic: {name: str(entry.value) for name, entry in entries.items()}
            for topic, entries in found.items()
            if entries is not None
        }

    def _create(self, topology: Topology, topics: Iterable[Topic]) -> None:
        new = [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=topology.replication,
                config=dict(configs(topic, topology)),
            )
            for topic in topics
        ]
        if not new:
            return
        for future in self._client.create_topics(new, operation_timeout=_PATIENCE_S).values():
            self._answer(future, fine=KafkaError.TOPIC_ALREADY_EXISTS)  # somebody was quicker

    def _give(self, grants: Iterable[Grant]) -> None:
        bindings = [_binding(grant) for grant in grants]
        if bindings:
            for future in self._client.create_acls(bindings, request_timeout=_PATIENCE_S).values():
                self._answer(future)

    def _set(self, steps: Iterable[Step]) -> None:
        changes: dict[str, list[ConfigEntry]] = {}
        for step in steps:
            entry = ConfigEntry(
                step.setting, step.wanted, incremental_operation=AlterConfigOpType.SET
            )
            changes.setdefault(step.topic, []).append(entry)
        resources = [
            ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
            for name, entries in changes.items()
        ]
        if resources:
            for future in self._client.incremental_alter_configs(resources).values():
                self._answer(future)

    def _answer(self, future: "Future[Any]", fine: int | None = None) -> Any:  # noqa: ANN401  # each call has its own
        error = failure_of(future, _PATIENCE_S)
        if error is None:
            return future.result()
        if isinstance(error, KafkaException) and _code(error) == fine:
            return None
        raise self._failed(error) from error

    def _failed(self, error: BaseException) -> BrokerUnavailableError:
        where = self._connection.bootstrap
        return BrokerUnavailableError(f"the broker at {where} refused an administrator: {error}")


def _to_do(plan: Plan) -> bool:
    return any(step.action in {Action.CREATE, Action.SET, Action.GRANT} for step in plan.steps)


def _code(error: KafkaException) -> int:
    reason = reason_of(error)
    return KafkaError.UNKNOWN if reason is None else int(reason.code())


# --- grants ---------------------------------------------------------------------------------------

_RESOURCES = {
    Resource.TOPIC: ResourceType.TOPIC,
    Resource.GROUP: ResourceType.GROUP,
    Resource.LOCK: ResourceType.TRANSACTIONAL_ID,
}
_RIGHTS = {
    Right.READ: AclOperation.READ,
    Right.WRITE: AclOperation.WRITE,
    Right.DESCRIBE: AclOperation.DESCRIBE,
}
_USER = "User:"


def _binding(grant: Grant) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if grant.prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        _RESOURCES[grant.resource],
        grant.name,
        pattern,
        f"{_USER}{grant.principal}",
        "*",
        _RIGHTS[grant.right],
        AclPermissionType.ALLOW,
    )


def _is_ours(binding: AclBinding) -> bool:
    """Whether a binding is of the kind that a grant can say."""
    return (
        binding.restype in _RESOURCES.values()
        and binding.operation in _RIGHTS.values()
        and binding.permission_type is AclPermissionType.ALLOW
    )


def _grant(binding: AclBinding) -> Grant:
    (resource,) = (mine for mine, theirs in _RESOURCES.items() if theirs is binding.restype)
    (right,) = (mine for mine, theirs in _RIGHTS.items() if theirs is binding.operation)
    prefixed = binding.resource_pattern_type is ResourcePatternType.PREFIXED
    principal = str(binding.principal).removeprefix(_USER)
    return Grant(principal, resource, str(binding.name), right, prefixed)
