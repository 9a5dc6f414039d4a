# SPDX-License-Identifier: Apache-2.0
"""The carrier on Kafka: topics, headers, the ledger.

`docs/kafka.md` says how to run it, `docs/ledger.md` how the ledger keeps its promises here.
"""
