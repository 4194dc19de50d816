"""Owns how the selection's candidates, reviews and forecasts look on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from google.type.date_pb2 import Date
from google.type.money_pb2 import Money
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from recsvc.showing.chinese import Say, action_name, band_name, component_name, saying, stage_name
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
from recsvc.v1.common_pb2 import Language
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
EN = Language.LANGUAGE_EN


def show_candidates(
    out: Console, answer: ListCandidatesResponse, *, language: Language.ValueType = EN
) -> None:
    """Prints selection candidates, each with its strongest reason; JSON has the others."""
    say = saying(language)
    columns = ("#", "title, item and reason", "action\nstage", "score", "trend", "demand\n80% interval")
    title = say("Selection candidates, {} of {}").format(len(answer.results), f"{answer.total_size:,}")
    table = table_of(title, *columns, say=say)
    for entry in answer.results:
        table.add_row(
            str(entry.rank),
            lines(entry.item.title, _item_id(entry), *entry.reasons[:1]),
            _advice(entry, say),
            f"{entry.score:.3f}",
            f"{entry.trend:+.0%}",
            lines(f"{entry.demand:,.0f}", f"{entry.demand_q10:,.0f} – {entry.demand_q90:,.0f}"),
        )
    out.print(table)
    show_info(out, answer.info, say=say)


def show_rescored(
    out: Console, answer: RescoreCandidatesResponse, *, language: Language.ValueType = EN
) -> None:
    """Prints candidates under other weights, with rank and score of the published ones beside."""
    say = saying(language)
    columns = ("#", "was", "title, item and reason", "action\nstage", "score", "before")
    total = f"{answer.total_size:,}"
    title = say("Candidates under other weights, {} of {}").format(len(answer.results), total)
    table = table_of(title, *columns, say=say)
    for entry in answer.results:
        old = entry.candidate
        table.add_row(
            str(entry.rank),
            str(old.rank),
            lines(old.item.title, _item_id(old)),
            _advice(old, say),
            f"{entry.score:.3f}",
            f"{old.score:.3f}",
        )
    out.print(table)
    show_info(out, answer.info, say=say)


def show_candidate(out: Console, answer: GetCandidateResponse, *, language: Language.ValueType = EN) -> None:
    """Prints one candidate: what is advised, why and why not, its figures, its forecast, its reviews."""
    say = saying(language)
    found = answer.candidate
    item_id = _item_id(found)
    title = f"{found.rank}. {found.item.title or found.item.item_id}"
    show_facts(
        out, f"{title} ({item_id})" if item_id and found.item.title else title, _facts(found, say), say=say
    )
    for heading, texts in (
        ("Why", found.reasons),
        ("Against it", found.against),
        ("What would change it", found.changes),
    ):
        if texts:
            out.print(Text(say(heading), style="bold"))
            for text in texts:
                out.print(Padding(Text(text), (0, 0, 0, 2)))
    if found.components:
        table = table_of("", "component", "value", say=say)
        for part in found.components:
            table.add_row(component_name(part.name, say), f"{part.value:.3f}")
        out.print(table)
    if found.look_alikes:
        table = table_of(say("Items like it"), "item", "title and item", "alike", say=say)
        for each in found.look_alikes:
            table.add_row(Text(each.item_id), Text(each.title), f"{each.similarity:.2f}")
        out.print(table)
    if answer.HasField("forecast"):
        _shape(out, answer.forecast, say)
    _trail(out, answer.reviews, say)
    show_info(out, answer.info, say=say)


def show_review(out: Console, answer: ReviewCandidateResponse, *, language: Language.ValueType = EN) -> None:
    """Prints that a review is stored, and where its candidate stands."""
    say = saying(language)
    review = answer.review
    action = action_name(word(SelectionAction.Name(review.action), "SELECTION_ACTION_"), say)
    said = say(word(ReviewDecision.Name(review.decision), "REVIEW_DECISION_"))
    told = say("review {}: {} says {} to {} {}")
    out.print(Text(told.format(review.review_id, review.reviewer, said, action, review.item_id)))
    standing = say("now {}, {} reviews in all")
    out.print(Text(standing.format(_standing(answer.status, say), answer.status.review_count)))
    show_info(out, answer.info, say=say)


def show_forecast(out: Console, answer: GetForecastResponse, *, language: Language.ValueType = EN) -> None:
    """Prints a forecast: its shape as bars, its sum, and its first days."""
    say = saying(language)
    forecast = answer.forecast
    _shape(out, forecast, say)
    table = table_of("", "day", "mean", "q10", "q90", say=say)
    for day in forecast.days[:MAX_FORECAST_ROWS]:
        table.add_row(day_text(day.day), f"{day.mean:,.1f}", f"{day.q10:,.1f}", f"{day.q90:,.1f}")
    if len(forecast.days) > MAX_FORECAST_ROWS:
        table.add_row(say("… {} more days").format(len(forecast.days) - MAX_FORECAST_ROWS), "", "", "")
    out.print(table)
    show_info(out, answer.info, say=say)


def sparkline(values: Sequence[float]) -> str:
    """Returns one bar a value, from the lowest to the highest; "" for no values."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    span = high - low or 1.0
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in values)


def _facts(found: Candidate, say: Say) -> dict[str, str]:
    """Returns what is known of a candidate, as texts; "" for what is not."""
    elasticity = found.elasticity
    interval = (
        f" ({elasticity.low:.2f} – {elasticity.high:.2f})"
        if elasticity.HasField("low") and elasticity.HasField("high")
        else ""
    )
    return {
        "advice": action_name(word(SelectionAction.Name(found.action), "SELECTION_ACTION_"), say),
        "stage": stage_name(word(LifecycleStage.Name(found.stage), "LIFECYCLE_STAGE_"), say),
        "review": _standing(found.review, say) if found.HasField("review") else say("not known"),
        "score": f"{found.score:.3f}",
        "category": found.item.category,
        "price": price_text(found.item.price) if found.item.HasField("price") else say("not known"),
        "price band": band_name(found.price_band, say),
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
        "in the assortment": say("yes" if found.chosen else "no") if found.HasField("chosen") else "",
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


def _advice(entry: Candidate, say: Say) -> Text:
    """Returns a cell with action and stage, and the state of review where somebody decided."""
    decided = entry.HasField("review") and entry.review.state != ReviewState.REVIEW_STATE_PENDING
    return lines(
        action_name(word(SelectionAction.Name(entry.action), "SELECTION_ACTION_"), say),
        stage_name(word(LifecycleStage.Name(entry.stage), "LIFECYCLE_STAGE_"), say),
        say(word(ReviewState.Name(entry.review.state), "REVIEW_STATE_")) if decided else "",
    )


def _standing(status: ReviewStatus, say: Say) -> str:
    state = say(word(ReviewState.Name(status.state), "REVIEW_STATE_"))
    return f"{state} {_until(status.snooze_until, say)}" if status.HasField("snooze_until") else state


def _until(day: Date, say: Say) -> str:
    return say("until {}").format(day_text(day))


def _item_id(entry: Candidate) -> str:
    return entry.item.item_id if entry.item.item_id not in entry.item.title else ""


def _shape(out: Console, forecast: Forecast, say: Say) -> None:
    """Prints of what a forecast is, its sum, and its shape as bars."""
    level = say(word(ForecastLevel.Name(forecast.level), "FORECAST_LEVEL_"))
    places = [
        f"{say(kind)} {getattr(forecast, kind)}" for kind in ("channel", "region") if getattr(forecast, kind)
    ]
    name = f"{level} {forecast.key}".rstrip() + (say(" in {}").format(", ".join(places)) if places else "")
    means = [day.mean for day in forecast.days]
    told = say("Forecast of {} ({}): {} days, {} units in all")
    out.print(Text(told.format(name, forecast.method, len(means), f"{sum(means):,.0f}")))
    if forecast.HasField("total"):
        total = forecast.total
        told = say("{} of the demand; the first {} days together {} ({} – {})")
        units = (f"{each:,.1f}" for each in (total.mean, total.q10, total.q90))
        out.print(Text(told.format(f"{forecast.share:.2%}", total.days, *units)))
    out.print(Text(sparkline(means), overflow="fold"))


def _trail(out: Console, reviews: Sequence[Review], say: Say) -> None:
    if not reviews:
        return
    table = table_of(say("Reviews, latest first"), "when", "who", "said", "why", say=say)
    for each in reviews:
        until = f" {_until(each.snooze_until, say)}" if each.HasField("snooze_until") else ""
        said = say(word(ReviewDecision.Name(each.decision), "REVIEW_DECISION_"))
        action = action_name(word(SelectionAction.Name(each.action), "SELECTION_ACTION_"), say)
        moment = second_text(each.review_time).removesuffix(" UTC")
        about = say("to {}").format(action)
        table.add_row(moment, Text(each.reviewer), lines(f"{said}{until}", about), Text(each.note))
    out.print(table)
