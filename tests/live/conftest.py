# SPDX-License-Identifier: Apache-2.0
"""The real broker of the Kafka tests, for those of the engine service."""

from tests.kafka.conftest import broker, topics, topology

__all__ = ["broker", "topics", "topology"]
