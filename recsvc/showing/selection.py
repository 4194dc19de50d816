"""Owns how the selection's candidates, reviews and forecasts look on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from google.type.money_pb2 import Money
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from recsvc.showing.parts import (
    day_text,
    lines,
    price_text,
    second_text,
    show_facts,
    show_info,
    table_of,
    word,
)
from recsvc.v1.selection_service_pb2 import (
    Candidate,
    Forecast,
    ForecastLevel,
    GetCandidateResponse,
    GetForecastResponse,
    LifecycleStage,
    ListCandidatesResponse,
    RescoreCandidatesResponse,
    Review,
    ReviewCandidateResponse,
    ReviewDecision,
    ReviewState,
    ReviewStatus,
    SelectionAction,
)

BARS = "▁▂▃▄▅▆▇█"
MAX_FORECAST_ROWS = 14


def show_candidates(out: Console, answer: ListCandidatesResponse) -> None:
    """Prints selection candidates, each with its strongest reason; JSON has the others."""
    columns = ("#", "title, item and reason", "action\nstage", "score", "trend", "demand\n80% interval")
    table = table_of(f"Selection candidates, {len(answer.results)} of {answer.total_size:,}", *columns)
    for entry in answer.results:
        table.add_row(
            str(entry.rank),
            lines(entry.item.title, _item_id(entry), *entry.reasons[:1]),
            _advice(entry),
            f"{entry.score:.3f}",
            f"{entry.trend:+.0%}",
            lines(f"{entry.demand:,.0f}", f"{entry.demand_q10:,.0f} – {entry.demand_q90:,.0f}"),
        )
    out.print(table)
    show_info(out, answer.info)


def show_rescored(out: Console, answer: RescoreCandidatesResponse) -> None:
    """Prints candidates under other weights, with rank and score of the published ones beside."""
    columns = ("#", "was", "title, item and reason", "action\nstage", "score", "before")
    title = f"Candidates under other weights, {len(answer.results)} of {answer.total_size:,}"
    table = table_of(title, *columns)
    for entry in answer.results:
        old = entry.candidate
        table.add_row(
            str(entry.rank),
            str(old.rank),
            lines(old.item.title, _item_id(old)),
            _advice(old),
            f"{entry.score:.3f}",
            f"{old.score:.3f}",
        )
    out.print(table)
    show_info(out, answer.info)


def show_candidate(out: Console, answer: GetCandidateResponse) -> None:
    """Prints one candidate: what is advised, why and why not, its figures, its forecast, its reviews."""
    found = answer.candidate
    item_id = _item_id(found)
    title = f"{found.rank}. {found.item.title or found.item.item_id}"
    show_facts(out, f"{title} ({item_id})" if item_id and found.item.title else title, _facts(found))
    for heading, texts in (
        ("Why", found.reasons),
        ("Against it", found.against),
        ("What would change it", found.changes),
    ):
        if texts:
            out.print(Text(heading, style="bold"))
            for text in texts:
                out.print(Padding(Text(text), (0, 0, 0, 2)))
    if found.components:
        table = table_of("", "component", "value")
        for part in found.components:
            table.add_row(part.name, f"{part.value:.3f}")
        out.print(table)
    if found.look_alikes:
        table = table_of("Items like it", "item", "title and item", "alike")
        for each in found.look_alikes:
            table.add_row(Text(each.item_id), Text(each.title), f"{each.similarity:.2f}")
        out.print(table)
    if answer.HasField("forecast"):
        _shape(out, answer.forecast)
    _trail(out, answer.reviews)
    show_info(out, answer.info)


def show_review(out: Console, answer: ReviewCandidateResponse) -> None:
    """Prints that a review is stored, and where its candidate stands."""
    review = answer.review
    action = word(SelectionAction.Name(review.action), "SELECTION_ACTION_")
    said = word(ReviewDecision.Name(review.decision), "REVIEW_DECISION_")
    out.print(Text(f"review {review.review_id}: {review.reviewer} says {said} to {action} {review.item_id}"))
    out.print(Text(f"now {_standing(answer.status)}, {answer.status.review_count} reviews in all"))
    show_info(out, answer.info)


def show_forecast(out: Console, answer: GetForecastResponse) -> None:
    """Prints a forecast: its shape as bars, its sum, and its first days."""
    forecast = answer.forecast
    _shape(out, forecast)
    table = table_of("", "day", "mean", "q10", "q90")
    for day in forecast.days[:MAX_FORECAST_ROWS]:
        table.add_row(day_text(day.day), f"{day.mean:,.1f}", f"{day.q10:,.1f}", f"{day.q90:,.1f}")
    if len(forecast.days) > MAX_FORECAST_ROWS:
        table.add_row(f"… {len(forecast.days) - MAX_FORECAST_ROWS} more days", "", "", "")
    out.print(table)
    show_info(out, answer.info)


def sparkline(values: Sequence[float]) -> str:
    """Returns one bar a value, from the lowest to the highest; "" for no values."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    span = high - low or 1.0
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in values)


def _facts(found: Candidate) -> dict[str, str]:
    """Returns what is known of a candidate, as texts; "" for what is not."""
    elasticity = found.elasticity
    interval = (
        f" ({elasticity.low:.2f} – {elasticity.high:.2f})"
        if elasticity.HasField("low") and elasticity.HasField("high")
        else ""
    )
    return {
        "advice": word(SelectionAction.Name(found.action), "SELECTION_ACTION_"),
        "stage": word(LifecycleStage.Name(found.stage), "LIFECYCLE_STAGE_"),
        "review": _standing(found.review) if found.HasField("review") else "not known",
        "score": f"{found.score:.3f}",
        "category": found.item.category,
        "price": price_text(found.item.price) if found.item.HasField("price") else "not known",
        "price band": found.price_band,
        "price place": _share(found, "price_place"),
        "demand": f"{found.demand:,.0f} ({found.demand_q10:,.0f} – {found.demand_q90:,.0f})",
        "recent sales": f"{found.recent_sales:,.0f}",
        "trend": f"{found.trend:+.0%}",
        "expected value": _money_range(found),
        "revenue at stake": price_text(found.revenue_at_stake),
        "may be a hit": _share(found, "hit_probability"),
        "alarm rang on": day_text(found.hit_alarm_on) if found.HasField("hit_alarm_on") else "",
        "may be on top": _share(found, "top_probability"),
        "worth keeping": _share(found, "keep_probability"),
        "elasticity": f"{elasticity.value:.2f}{interval}" if found.HasField("elasticity") else "",
        "discount": _share(found, "discount"),
        "in the assortment": {True: "yes", False: "no"}[found.chosen] if found.HasField("chosen") else "",
    }


def _share(found: Candidate, name: str) -> str:
    return f"{getattr(found, name):.0%}" if found.HasField(name) else ""  # type: ignore[arg-type] # a field


def _money_range(found: Candidate) -> str:
    if not found.HasField("expected_value"):
        return ""
    ends: list[Money] = [
        getattr(found, name) for name in ("expected_value_q10", "expected_value_q90") if found.HasField(name)
    ]
    interval = f" ({' – '.join(map(price_text, ends))})" if len(ends) > 1 else ""
    return f"{price_text(found.expected_value)}{interval}"


def _advice(entry: Candidate) -> Text:
    """Returns a cell with action and stage, and the state of review where somebody decided."""
    decided = entry.HasField("review") and entry.review.state != ReviewState.REVIEW_STATE_PENDING
    return lines(
        word(SelectionAction.Name(entry.action), "SELECTION_ACTION_"),
        word(LifecycleStage.Name(entry.stage), "LIFECYCLE_STAGE_"),
        word(ReviewState.Name(entry.review.state), "REVIEW_STATE_") if decided else "",
    )


def _standing(status: ReviewStatus) -> str:
    state = word(ReviewState.Name(status.state), "REVIEW_STATE_")
    return f"{state} until {day_text(status.snooze_until)}" if status.HasField("snooze_until") else state


def _item_id(entry: Candidate) -> str:
    return entry.item.item_id if entry.item.item_id not in entry.item.title else ""


def _shape(out: Console, forecast: Forecast) -> None:
    """Prints of what a forecast is, its sum, and its shape as bars."""
    level = word(ForecastLevel.Name(forecast.level), "FORECAST_LEVEL_")
    places = [
        f"{kind} {getattr(forecast, kind)}" for kind in ("channel", "region") if getattr(forecast, kind)
    ]
    name = f"{level} {forecast.key}".rstrip() + (f" in {', '.join(places)}" if places else "")
    means = [day.mean for day in forecast.days]
    out.print(
        Text(f"Forecast of {name} ({forecast.method}): {len(means)} days, {sum(means):,.0f} units in all")
    )
    if forecast.HasField("total"):
        total = forecast.total
        out.print(
            Text(
                f"{forecast.share:.2%} of the demand; the first {total.days} days together "
                f"{total.mean:,.1f} ({total.q10:,.0f} – {total.q90:,.0f})"
            )
        )
    out.print(Text(sparkline(means), overflow="fold"))


def _trail(out: Console, reviews: Sequence[Review]) -> None:
    if not reviews:
        return
    table = table_of("Reviews, latest first", "when", "who", "said", "why")
    for each in reviews:
        until = f" until {day_text(each.snooze_until)}" if each.HasField("snooze_until") else ""
        said = word(ReviewDecision.Name(each.decision), "REVIEW_DECISION_")
        action = word(SelectionAction.Name(each.action), "SELECTION_ACTION_")
        moment = second_text(each.review_time).removesuffix(" UTC")
        table.add_row(moment, Text(each.reviewer), lines(f"{said}{until}", f"to {action}"), Text(each.note))
    out.print(table)
