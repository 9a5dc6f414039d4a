# SPDX-License-Identifier: Apache-2.0
"""Upstream systems that speak a language of their own, turned into public events.

An adapter is a pure function from the bytes of one record to an event that intake accepts, or to a
refusal that says why it is none. It never raises, and it never makes up what the record lacks.
What carries it from one topic to another (`slurm_host`) and what an operator says (`slurm_file`)
stand beside it.
"""
