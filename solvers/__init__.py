# SPDX-License-Identifier: Apache-2.0
"""What is best: allocation, packing, reclaim, and the judge; pure."""
