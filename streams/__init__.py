# SPDX-License-Identifier: Apache-2.0
"""Where the world is: ledgers, the host of the engine, traces and their player."""
