"""Owns what a merchandiser's rule must be like before it is stored."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from recsvc.catalogue import Catalogue
from recsvc.checks import check_count, check_length
from recsvc.errors import InvalidFieldError, quoted
from recsvc.v1.catalog_service_pb2 import Rule, RuleAction, RuleScope

MAX_POSITION = 200
MIN_FACTOR, MAX_FACTOR = 0.01, 100.0
MAX_SCOPE_ENTRIES = 100
MAX_DESCRIPTION_CHARACTERS = 500

#: The fields of a rule that a caller may change.
RULE_FIELDS = (
    "action",
    "target",
    "position",
    "factor",
    "scope",
    "start_time",
    "end_time",
    "description",
)

_RULE_ID = re.compile(r"[a-z0-9_-]{1,64}")
_NANOS = 1_000_000_000


def check_rule_id(rule_id: str, field: str) -> None:
    """Checks a rule's id.

    Raises:
        InvalidFieldError: it is none that a rule can have.
    """
    if not _RULE_ID.fullmatch(rule_id):
        raise InvalidFieldError(
            field, f"{field} {quoted(rule_id)} must be 1 to 64 characters of a-z, 0-9, - and _"
        )


def check_rule(rule: Rule, catalogue: Catalogue) -> None:
    """Checks a rule.

    Args:
        rule: the rule as it is to be stored.
        catalogue: whose currency its prices must be in.

    Raises:
        InvalidFieldError: a field is wrong, or the rule says nothing.
    """
    check_rule_id(rule.rule_id, "rule.rule_id")
    if rule.action not in RuleAction.values() or rule.action == RuleAction.RULE_ACTION_UNSPECIFIED:
        raise InvalidFieldError("rule.action", "rule.action must be HIDE, PIN, BOOST or BURY")
    _check_target(rule, catalogue)
    if rule.action == RuleAction.RULE_ACTION_PIN and not 1 <= rule.position <= MAX_POSITION:
        raise InvalidFieldError(
            "rule.position", f"rule.position is {rule.position}; a PIN needs 1 to {MAX_POSITION}"
        )
    if rule.action == RuleAction.RULE_ACTION_BOOST and not MIN_FACTOR <= rule.factor <= MAX_FACTOR:
        raise InvalidFieldError(
            "rule.factor", f"rule.factor is {rule.factor:g}; a BOOST needs {MIN_FACTOR:g} to {MAX_FACTOR:g}"
        )
    _check_scope(rule.scope)
    start = _moment(rule.start_time, "rule.start_time") if rule.HasField("start_time") else None
    end = _moment(rule.end_time, "rule.end_time") if rule.HasField("end_time") else None
    if start is not None and end is not None and end <= start:
        raise InvalidFieldError(
            "rule.end_time",
            f"rule.end_time {end:%Y-%m-%d %H:%M:%S} is not after rule.start_time {start:%Y-%m-%d %H:%M:%S}; "
            "the rule would never hold",
        )
    if len(rule.description) > MAX_DESCRIPTION_CHARACTERS:
        raise InvalidFieldError(
            "rule.description",
            f"rule.description has {len(rule.description)} characters; "
            f"at most {MAX_DESCRIPTION_CHARACTERS} are allowed",
        )


def _check_target(rule: Rule, catalogue: Catalogue) -> None:
    target = rule.target
    for name in ("not_purchased_within", "exclude_seen_in_session"):
        if any(field.name == name for field, _ in target.ListFields()):
            raise InvalidFieldError(
                f"rule.target.{name}",
                f"rule.target.{name} is a condition on the shopper; a rule is about items, leave it out",
            )
    if catalogue.conditions(target, "rule.target").says_nothing:
        raise InvalidFieldError(
            "rule.target", "rule.target names no items; give at least one condition, such as category"
        )
    if rule.action == RuleAction.RULE_ACTION_PIN and len(target.include_item_ids) != 1:
        raise InvalidFieldError(
            "rule.target.include_item_ids",
            f"rule.target.include_item_ids has {len(target.include_item_ids)} ids; a PIN needs exactly one",
        )


def _check_scope(scope: RuleScope) -> None:
    for name, values in (
        ("channels", scope.channels),
        ("regions", scope.regions),
        ("placements", scope.placements),
    ):
        check_count(f"rule.scope.{name}", values, MAX_SCOPE_ENTRIES)
        for place, value in enumerate(values):
            where = f"rule.scope.{name}[{place}]"
            if not value:
                raise InvalidFieldError(
                    where, f"{where} is empty; name one, or leave the list empty for everywhere"
                )
            check_length(where, value)


def _moment(time: Timestamp, field: str) -> datetime:
    """Returns a time, checked."""
    wrong = f"{field} is no moment from the year 1 to 9999 ({time.seconds} s, {time.nanos} ns)"
    if not 0 <= time.nanos < _NANOS:
        raise InvalidFieldError(field, wrong)
    try:
        return time.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidFieldError(field, wrong) from error
