# SPDX-License-Identifier: Apache-2.0
"""Errors of the contract, split by who must act."""


class SinglepoolError(Exception):
    """Root of every error this project raises on purpose."""


class CallerError(SinglepoolError):
    """The input is wrong; whoever made it must change it."""


class WorldError(SinglepoolError):
    """Something outside failed; trying again later may help."""


class InternalError(SinglepoolError):
    """Our own bug; the process stops and says where."""


class DecodeError(CallerError):
    """Bytes that are not what their type says. The message names type, field and rule."""


class UnknownEventError(CallerError):
    """An event type or version this build does not know. The fold stops unless it is skippable."""
