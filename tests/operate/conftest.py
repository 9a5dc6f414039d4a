# SPDX-License-Identifier: Apache-2.0
"""The real broker of the Kafka tests, for those of the commands that run on it."""

from tests.compose.conftest import singlepool
from tests.kafka.conftest import broker, topics, topology

__all__ = ["broker", "singlepool", "topics", "topology"]
