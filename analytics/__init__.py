# SPDX-License-Identifier: Apache-2.0
"""What was: the archive, its audit, the history in SQL, and pictures of it."""
