# SPDX-License-Identifier: Apache-2.0
"""The engine as a service: one leader that writes the ledger, and standbys that fold along.

The core orchestrates ports (`ports.py`) and knows no broker; `kafka_ends.py` gives it Kafka's.
`docs/operating.md` says how to run it.
"""
