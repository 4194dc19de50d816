"""Owns the snapshot's words for actions and stages of life, and what the contract calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from recsvc.errors import InvalidFieldError
from recsvc.v1.selection_service_pb2 import LifecycleStage, ReviewDecision, SelectionAction

ValueT = TypeVar("ValueT", bound=int)

_ACTION, _STAGE, _DECISION = "SELECTION_ACTION_", "LIFECYCLE_STAGE_", "REVIEW_DECISION_"
ACTIONS = {name.removeprefix(_ACTION).lower(): value for name, value in SelectionAction.items() if value}
STAGES = {name.removeprefix(_STAGE).lower(): value for name, value in LifecycleStage.items() if value}
DECISIONS = {name.removeprefix(_DECISION).lower(): value for name, value in ReviewDecision.items() if value}
_ACTION_WORDS = {value: word for word, value in ACTIONS.items()}
_STAGE_WORDS = {value: word for word, value in STAGES.items()}
_DECISION_WORDS = {value: word for word, value in DECISIONS.items()}


def action_of(word: str) -> SelectionAction.ValueType:
    """Returns the action of a word; an unknown one is UNSPECIFIED."""
    return ACTIONS.get(word, SelectionAction.SELECTION_ACTION_UNSPECIFIED)


def stage_of(word: str) -> LifecycleStage.ValueType:
    """Returns the stage of a word; an unknown one is UNSPECIFIED."""
    return STAGES.get(word, LifecycleStage.LIFECYCLE_STAGE_UNSPECIFIED)


def decision_of(word: str) -> ReviewDecision.ValueType:
    """Returns the decision of a word; an unknown one is UNSPECIFIED."""
    return DECISIONS.get(word, ReviewDecision.REVIEW_DECISION_UNSPECIFIED)


def action_word(action: SelectionAction.ValueType, field: str) -> str:
    """Returns the word of an action, "" for UNSPECIFIED.

    Raises:
        InvalidFieldError: this version knows no such action.
    """
    return _word(_ACTION_WORDS, action, field)


def stage_word(stage: LifecycleStage.ValueType, field: str) -> str:
    """Returns the word of a stage, "" for UNSPECIFIED; raises as `action_word` does."""
    return _word(_STAGE_WORDS, stage, field)


def decision_word(decision: ReviewDecision.ValueType, field: str) -> str:
    """Returns the word of a decision, "" for UNSPECIFIED; raises as `action_word` does."""
    return _word(_DECISION_WORDS, decision, field)


def _word(words: Mapping[ValueT, str], value: ValueT, field: str) -> str:
    if value and value not in words:
        allowed = ", ".join(word.upper() for word in words.values())
        raise InvalidFieldError(
            field, f"{field} is {value}, which this version does not know; give {allowed}"
        )
    return words.get(value, "")
