# SPDX-License-Identifier: Apache-2.0
"""Public traces as workloads: what upstream systems would have published, and how much work there was."""
