# SPDX-License-Identifier: Apache-2.0
"""`plan(snapshot)`: what to do now, as a value, with its certificate."""

from engine.planning.cycle import Plan, Rederived, plan, rederive

__all__ = ["Plan", "Rederived", "plan", "rederive"]
