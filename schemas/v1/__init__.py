# SPDX-License-Identifier: Apache-2.0
"""Generated wire types of contract v1. Only `schemas.codec` imports them."""
