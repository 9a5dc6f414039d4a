# SPDX-License-Identifier: Apache-2.0
"""Tools that build and hold the project; never part of the wheel."""
