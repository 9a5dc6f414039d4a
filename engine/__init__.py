# SPDX-License-Identifier: Apache-2.0
"""What happens: the fold, decisions, planning, replay; pure, without clock or I/O."""
