# SPDX-License-Identifier: Apache-2.0
"""A real Apache Kafka on the JVM, for machines without a container engine.

The jars come from Maven by `pom.xml`; `docs/kafka.md` says what is needed. For production there is
`production.compose.yaml` beside this file.
"""
