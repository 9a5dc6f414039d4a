# SPDX-License-Identifier: Apache-2.0
"""What is said: the contract, its domain types, ids, reasons, and the one codec."""
