# SPDX-License-Identifier: Apache-2.0
"""How it runs: the command line, the demo, and what puts the parts together."""
