# SPDX-License-Identifier: Apache-2.0
"""A state without a host: told events one by one, it says what it decides of each."""

from collections.abc import Sequence

from engine.decide import decide
from engine.digest import Digest
from engine.evolve import evolve
from engine.invariants import broken
from engine.outcomes import DUPLICATE, FACT, Outcome, Parked, Rejected
from engine.policies import POOL
from engine.rules import CURRENT_RULES
from engine.state import State
from schemas.catalogue import Event
from schemas.decisions import PolicyActivated, RulesActivated
from schemas.reasons import Rejection
from schemas.records import Record

Refusal = tuple[Rejection, str, object, str]
"""Why an event is refused: its kind, the field, its value, and part of the rule."""


class Telling:
    """What is told is decided and, if it is a fact, folded; decisions are folded as they come."""

    def __init__(self, *story: Event) -> None:
        """Begin under the current rules and a policy, with a story that has happened."""
        self.state = State()
        self._digest = Digest()
        for event in (RulesActivated(CURRENT_RULES), PolicyActivated(POOL), *story):
            self.happen(event)

    def happen(self, event: Event) -> None:
        """Fold an event, a minute after the last; every invariant holds."""
        evolve(self.state, Record(self.state.head, self.state.now_ms + 60_000, event))
        assert broken(self.state) == (), event

    def hear(self, event: Event) -> Outcome:
        """Say what is decided of an event; only a fact changes anything."""
        before = self.digest()
        outcome = decide(self.state, event)
        assert self.digest() == before
        if outcome == FACT:
            self.happen(event)
            assert self.digest() != before
        return outcome

    def digest(self) -> bytes:
        """The state's digest."""
        return self._digest.update(self.state)


def told(story: Sequence[Event], event: Event) -> Outcome:
    """What is decided of an event after a story; if it is a fact, told again it is a duplicate."""
    telling = Telling(*story)
    outcome = telling.hear(event)
    if outcome == FACT:
        assert telling.hear(event) == DUPLICATE
    return outcome


def matches(outcome: Outcome, expected: Outcome | str | Refusal) -> bool:
    """Whether an outcome is the one expected; a text stands for what an early event waits for."""
    match expected:
        case str():
            return outcome == Parked(expected)
        case (rejection, field, value, rule):
            return (
                isinstance(outcome, Rejected)
                and (outcome.rejection, outcome.field) == (rejection, field)
                and outcome.value == str(value)
                and rule in outcome.rule
            )
        case _:
            return outcome == expected
