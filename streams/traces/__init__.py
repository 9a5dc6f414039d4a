# SPDX-License-Identifier: Apache-2.0
"""Public traces turned into public events."""
