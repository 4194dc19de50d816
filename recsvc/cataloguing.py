"""Owns CatalogService: checks and stores what changes during the day; `recsvc.catalogue` obeys it."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

import msgspec
from google.protobuf.duration_pb2 import Duration

from recdata.errors import LiveStoreUnavailableError
from recdata.live import ItemChange, LiveView, RuleRecord
from recsvc import paging
from recsvc.answers import answer_info
from recsvc.call import Call
from recsvc.checks import MAX_PRICE, amount_of, check_count, check_length
from recsvc.errors import InvalidFieldError, UnknownNameError, quoted
from recsvc.rule_checks import RULE_FIELDS, check_rule, check_rule_id
from recsvc.v1.catalog_service_pb2 import (
    CreateRuleRequest,
    CreateRuleResponse,
    DeleteRuleRequest,
    DeleteRuleResponse,
    GetItemRequest,
    GetItemResponse,
    ItemStatus,
    ItemUpdate,
    ListRulesRequest,
    ListRulesResponse,
    Rule,
    UpdateItemsRequest,
    UpdateItemsResponse,
    UpdateRuleRequest,
    UpdateRuleResponse,
)

MAX_UPDATES = 1000
TOKEN_VERSION = 1

STATUSES = {
    ItemStatus.ITEM_STATUS_UNSPECIFIED: None,
    ItemStatus.ITEM_STATUS_ACTIVE: "active",
    ItemStatus.ITEM_STATUS_DISCONTINUED: "discontinued",
}


class _Token(msgspec.Struct, frozen=True, array_like=True):
    """After which rule a page begins; not after how many, since rules come and go between pages."""

    version: int
    method: str
    after: str


def update_items(call: Call, request: UpdateItemsRequest) -> bytes:
    """Returns a serialised UpdateItemsResponse, once the updates are on disk.

    Raises:
        InvalidFieldError: no or too many updates, an item twice, an update that is wrong or changes nothing.
        LiveStoreError: they cannot be written.
    """
    check_count("updates", request.updates, MAX_UPDATES, least=1)
    now_us = _microseconds(call.now)
    changes: dict[str, ItemChange] = {}
    for place, update in enumerate(request.updates):
        where = f"updates[{place}]"
        if update.item_id in changes:
            raise InvalidFieldError(
                f"{where}.item_id",
                f"{where}.item_id {quoted(update.item_id)} stands in an update before; join them into one",
            )
        changes[update.item_id] = _change(call, update, where, now_us)
    call.store.update_items(changes)
    item_row = call.generation.snapshot.item_row
    unknown = [item_id for item_id in changes if item_row(item_id) is None]
    return UpdateItemsResponse(unknown_item_ids=unknown).SerializeToString()


def get_item(call: Call, request: GetItemRequest) -> bytes:
    """Returns a serialised GetItemResponse.

    Raises:
        InvalidFieldError: no item id, or too long a one.
        UnknownNameError: the item is not in the snapshot.
    """
    generation, catalogue = call.generation, call.catalogue
    if not request.item_id:
        raise InvalidFieldError("item_id", "item_id is empty; name the item")
    check_length("item_id", request.item_id)
    row = generation.snapshot.item_row(request.item_id)
    if row is None:
        raise UnknownNameError(
            f"item_id {quoted(request.item_id)} is not in snapshot {generation.snapshot_id}; "
            "items are known from the nightly job after they came into the catalogue",
            reason="ITEM_NOT_FOUND",
            field="item_id",
            metadata={"item_id": request.item_id, "snapshot_id": generation.snapshot_id},
        )
    state = catalogue.changed.get(row)
    stock = int(generation.snapshot.stock[row])
    if state is not None and state.stock is not None:
        stock = state.stock
    active = bool(catalogue.active[row])
    answer = GetItemResponse(
        item=generation.items.message(row, prices=catalogue.repriced),
        stock=stock if stock >= 0 else None,
        status=ItemStatus.ITEM_STATUS_ACTIVE if active else ItemStatus.ITEM_STATUS_DISCONTINUED,
        info=answer_info(generation, call.degradations),
    )
    if state is not None:
        answer.update_time.FromMicroseconds(state.update_time_us)
    return answer.SerializeToString()


def create_rule(call: Call, request: CreateRuleRequest) -> bytes:
    """Returns a serialised CreateRuleResponse, once the rule is on disk.

    Raises:
        InvalidFieldError: the rule is wrong or says nothing.
        RuleExistsError: a rule has that id.
        LiveStoreError: it cannot be written.
    """
    rule = Rule()
    rule.CopyFrom(request.rule)
    check_rule(rule, call.catalogue)
    rule.update_time.FromDatetime(call.now)
    call.store.put_rule(RuleRecord(rule.rule_id, rule.SerializeToString()), expect="new")
    return CreateRuleResponse(rule=rule).SerializeToString()


def update_rule(call: Call, request: UpdateRuleRequest) -> bytes:
    """Returns a serialised UpdateRuleResponse, once the rule is on disk.

    Raises:
        InvalidFieldError: an unknown path in the mask, or the rule would be wrong or say nothing.
        RuleNotFoundError: no rule has that id.
        LiveStoreError: it cannot be read or written.
    """
    rule_id = request.rule.rule_id
    check_rule_id(rule_id, "rule.rule_id")
    _check_mask(request)
    catalogue, rule = call.catalogue, Rule()

    def changed(content: bytes) -> bytes:
        """Within the write itself: of two calls at a time that change other fields, both hold."""
        rule.ParseFromString(content)
        _put_fields(rule, request)
        check_rule(rule, catalogue)
        rule.update_time.FromDatetime(call.now)
        return rule.SerializeToString()

    call.store.change_rule(rule_id, changed)
    return UpdateRuleResponse(rule=rule).SerializeToString()


def delete_rule(call: Call, request: DeleteRuleRequest) -> bytes:
    """Returns a serialised DeleteRuleResponse, once the rule is gone from the disk.

    Raises:
        InvalidFieldError: the id is none that a rule can have.
        RuleNotFoundError: no rule has that id.
        LiveStoreError: it cannot be written.
    """
    check_rule_id(request.rule_id, "rule_id")
    call.store.delete_rule(request.rule_id)
    return DeleteRuleResponse().SerializeToString()


def list_rules(call: Call, request: ListRulesRequest) -> bytes:
    """Returns a serialised ListRulesResponse.

    Raises:
        InvalidFieldError: a bad page size or token.
        LiveStoreUnavailableError: the rules cannot be read.
    """
    limit = paging.page_size(request.page_size)
    after = _after(request.page_token)
    rules = [record for record in _view(call).rules() if record.rule_id > after]
    page = rules[:limit]
    answer = ListRulesResponse(
        results=[Rule.FromString(record.content) for record in page],
        # Every call of every worker reads the live store as it is when the call begins.
        effective_within=Duration(),
    )
    if len(rules) > limit:
        token = msgspec.msgpack.encode(_Token(TOKEN_VERSION, "ListRules", page[-1].rule_id))
        answer.next_page_token = base64.urlsafe_b64encode(token).rstrip(b"=").decode()
    return answer.SerializeToString()


def _change(call: Call, update: ItemUpdate, where: str, now_us: int) -> ItemChange:
    """Returns an update as the live store takes it.

    Raises:
        InvalidFieldError: it is wrong or changes nothing.
    """
    if not update.item_id:
        raise InvalidFieldError(f"{where}.item_id", f"{where}.item_id is empty; name the item")
    check_length(f"{where}.item_id", update.item_id)
    stock = update.stock if update.HasField("stock") else None
    if stock is not None and stock < 0:
        raise InvalidFieldError(f"{where}.stock", f"{where}.stock is {stock}; give 0 or more")
    price = None
    if update.HasField("price"):
        price = amount_of(update.price, f"{where}.price", call.generation.snapshot.manifest.currency)
        if not 0 <= price <= MAX_PRICE:
            raise InvalidFieldError(
                f"{where}.price", f"{where}.price is {price:g}; give 0 to {MAX_PRICE:,.0f}"
            )
    if update.status not in STATUSES:
        raise InvalidFieldError(
            f"{where}.status", f"{where}.status {update.status} is not one that this version knows"
        )
    status = STATUSES[update.status]
    if stock is None and price is None and status is None:
        raise InvalidFieldError(where, f"{where} changes nothing; give stock, price or status")
    return ItemChange(update_time_us=now_us, stock=stock, price=price, status=status)


def _check_mask(request: UpdateRuleRequest) -> None:
    for path in request.update_mask.paths:
        if path not in Rule.DESCRIPTOR.fields_by_name:
            raise InvalidFieldError(
                "update_mask",
                f"update_mask names {quoted(path)}, which is no field of a rule; "
                f"those that change are {', '.join(RULE_FIELDS)}",
            )


def _put_fields(rule: Rule, request: UpdateRuleRequest) -> None:
    """Puts the request's fields that the mask names into a rule, all of them without a mask."""
    for name in request.update_mask.paths or RULE_FIELDS:
        if name not in RULE_FIELDS:  # the id stays as it is, and the time is ours to set
            continue
        rule.ClearField(name)  # type: ignore[arg-type] # one of the fields, as was checked
        field = Rule.DESCRIPTOR.fields_by_name[name]
        if field.message_type is None:
            setattr(rule, name, getattr(request.rule, name))
        elif request.rule.HasField(name):  # type: ignore[arg-type] # the same
            getattr(rule, name).CopyFrom(getattr(request.rule, name))


def _after(page_token: str) -> str:
    """Returns the rule_id after which a page begins, "" without a token."""
    if not page_token:
        return ""
    try:
        content = base64.b64decode(page_token + "=" * (-len(page_token) % 4), altchars=b"-_", validate=True)
        token = msgspec.msgpack.decode(content, type=_Token)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        token = None
    if token is None or token.version != TOKEN_VERSION or token.method != "ListRules":
        raise InvalidFieldError(
            "page_token", "page_token is not a next_page_token of ListRules; leave it empty to start"
        )
    return token.after


def _view(call: Call) -> LiveView:
    """Returns the live store as the call sees it.

    Raises:
        LiveStoreUnavailableError: it cannot be read.
    """
    if call.view is None:
        raise LiveStoreUnavailableError(call.live.problem or "the live store cannot be read; mend its file")
    return call.view


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
