"""The page opens offline, escapes everything and is looked at in a real browser; the CSV is safe to open."""

import csv
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser

import polars as pl
import pytest

from recdata.selection_artefacts import LEDGER, SELECTION
from recdata.training_artefacts import FORECAST_DAILY
from selection.backtest import run_backtest
from selection.charts import Week, item_chart
from selection.config import BacktestConfig, ReportConfig, SelectionConfig
from selection.export import HEADERS, write_csv
from selection.history import Tables
from selection.outcomes.config import OutcomesConfig
from selection.report import render_report
from selection.report_backtest import list_tables, panels, table_rows
from selection.report_data import ReportInputs, choose_rows, grouped, weekly_forecast, weekly_history
from selection.select import select
from selection.summary import PLAIN
from selection.words import Days, drop_words, method_words, percent

EVIL = '=1+1"><script>document.title="owned"</script>\'&中文 100%'
TODAY = date(2024, 6, 1)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def inputs_of(tables: Tables, config: SelectionConfig, daily=()) -> ReportInputs:
    return ReportInputs(
        as_of=tables.as_of,
        currency="CNY",
        selection=select(tables, tables.as_of, config=config, currency="CNY"),
        backtest=run_backtest(tables, config=config).frame,
        items=tables.items,
        daily_sales=tables.daily_sales,
        forecast_daily=pl.DataFrame(list(daily), schema=FORECAST_DAILY).lazy(),
        forecast_totals=tables.forecast_totals.lazy(),
        weights=config.weights,
    )


def evil_shop(busy_shop: Tables) -> Tables:
    fields = {name: getattr(busy_shop, name) for name in Tables.__dataclass_fields__}
    bad = pl.col("item_id") == "X39"
    items = busy_shop.items.with_columns(
        pl.when(bad).then(pl.lit(EVIL)).otherwise("title").alias("title"),
        pl.when(bad).then(pl.lit(EVIL)).otherwise("brand").alias("brand"),
        pl.col("category").str.replace("^Y", "@Y<i>"),
    )
    return Tables(**{**fields, "items": items})


class Page(HTMLParser):
    """Collects tags and what they refer to."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.references, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.references += [
            value for name, value in attrs if name in {"src", "href", "srcset", "data", "action"}
        ]


@pytest.fixture
def page(busy_shop):
    config = SelectionConfig()
    return render_report(inputs_of(evil_shop(busy_shop), config), config)


def test_the_page_refers_to_nothing_outside_itself(page):
    parsed = Page(page)
    assert all(reference.startswith("#") for reference in parsed.references)
    assert "url(" not in page
    assert "@import" not in page
    assert not re.findall(r"https?://", page)
    policy = next(attrs for tag, attrs in parsed.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")


def test_titles_are_escaped_everywhere(page):
    assert "<script>document" not in page
    assert '"><script' not in page
    assert "&lt;script&gt;document.title=" in page
    assert "<i>" not in page.replace("<i style", "")
    assert sum(tag == "script" for tag, _ in Page(page).tags) == 1


def test_every_text_stands_in_both_languages_and_the_page_is_chinese_first(page):
    tags = Page(page).tags
    assert dict(tags)["html"]["lang"] == "zh-CN"
    languages = [attrs.get("lang") for _, attrs in tags]
    assert languages.count("zh") == languages.count("en") > 50
    assert {attrs.get("scope") for tag, attrs in tags if tag == "th"} <= {"col", "row", "colgroup"}
    charts = [attrs for tag, attrs in tags if tag == "svg"]
    assert charts
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)


def test_the_page_shows_picks_reasons_and_the_back_test(page):
    shown = [attrs["data-action"] for tag, attrs in Page(page).tags if tag == "article"]
    assert sum(action in {"push", "launch", "keep"} for action in shown) == 2 * 4
    assert "预计未来 28 天售出" in page
    assert "Forecast for the next 28 days" in page
    assert "上期畅销" in page
    assert "2024-07-19" in page
    assert "# 是在全部候选中的名次" in page
    assert "# is the place among all candidates" in page


def test_what_the_assortment_left_out_is_said_on_the_page(busy_shop):
    config = SelectionConfig()
    remark = ("甲目前不在售", "'a' not on sale now")
    text = render_report(replace(inputs_of(busy_shop, config), remarks=[remark]), config)
    assert "甲目前不在售" in text
    assert "&#39;a&#39; not on sale now" in text


def test_a_shop_of_one_unsold_item_has_a_page(make_tables):
    config = SelectionConfig()
    tables = make_tables(as_of=TODAY, items={"only": {"category": "", "title": ""}})
    text = render_report(inputs_of(tables, config), config)
    assert "没有任何销售记录" in text
    assert "历史太短" in text
    assert "only" in text


def test_a_shop_without_items_has_a_page(make_tables):
    config = SelectionConfig()
    assert "没有值得主推" in render_report(inputs_of(make_tables(as_of=TODAY), config), config)


def test_the_page_shows_the_best_of_each_category_and_the_costliest_warning():
    rows = [
        (1, "a", "A > x", "push", 5.0),
        (2, "b", "A > y", "keep", 4.0),
        (3, "c", "A", "drop", 1.0),
        (4, "d", "A > x", "discount", 3.0),
        (5, "e", "B", "keep", 99.0),
        (6, "f", "C", "keep", 0.0),
    ]
    columns = ("rank", "item_id", "category", "action", "revenue_at_stake")
    frame = pl.DataFrame(rows, schema={name: SELECTION[name] for name in columns}, orient="row")
    config = ReportConfig(picks_per_category=1, warnings_per_category=1, max_categories=2)
    assert choose_rows(grouped(frame, 1), config).get_column("item_id").to_list() == ["a", "d", "e"]


def test_history_weeks_end_the_day_before_and_start_within_the_data(make_tables):
    tables = make_tables(
        [("a", TODAY - timedelta(days=days), 0, float(days), 1.0) for days in (1, 7, 8, 22)], as_of=TODAY
    )
    weeks = weekly_history(tables.daily_sales, tables.items, TODAY, 26)[0]
    assert [week.units for week in weeks] == [0.0, 8.0, 8.0]
    assert weeks[-1].start == TODAY - timedelta(days=7)


def test_forecast_weeks_have_the_daily_shape_the_horizons_sum_and_its_interval(make_tables):
    tables = make_tables(
        [("a", TODAY - timedelta(days=9), 0, 1.0, 1.0)], as_of=TODAY, forecasts=[(TODAY, "a", 40.0)]
    )
    daily = [
        {
            "level": "item",
            "key": "a",
            "day": TODAY + timedelta(days=day),
            "mean": 3.0 if day < 7 else 1.0,
            "q10": 0.0,
            "q90": 9.0,
            "method": "given",
        }
        for day in range(60)
    ]
    inputs = inputs_of(tables, SelectionConfig(), daily)
    weeks = weekly_forecast(inputs, inputs.selection)["a"]
    assert [week.units for week in weeks] == pytest.approx([20.0, 20 / 3, 20 / 3, 20 / 3])
    # The given interval is 20 to 80: half-widths of independent weeks add up in squares.
    assert sum((week.high - week.units) ** 2 for week in weeks) ** 0.5 == pytest.approx(40.0)


def test_a_chart_has_a_bar_a_week_a_whisker_a_forecast_and_tooltips():
    history = [Week(TODAY + timedelta(days=7 * n), float(n)) for n in range(5)]
    forecast = [Week(TODAY + timedelta(days=35), 3.0, 1.0, 6.0)]
    chart = str(item_chart(history, forecast))
    assert chart.count("<rect") == 6
    assert chart.count('class="w"') == 1
    assert "2024-07-06 · 3 (1–6)" in chart


def test_the_csv_has_every_row_opens_in_excel_and_holds_no_formula(busy_shop, tmp_path):
    inputs = inputs_of(evil_shop(busy_shop), SelectionConfig())
    path = tmp_path / "selection.csv"
    write_csv(inputs.selection, inputs.items, path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == inputs.selection.height
    assert list(rows[0]) == list(HEADERS.values())
    titles = {row[HEADERS["item_id"]]: row for row in rows}
    assert titles["X39"][HEADERS["title"]] == "'" + EVIL
    assert titles["Y01"][HEADERS["category"]].startswith("'@Y<i>")
    assert titles["X38"][HEADERS["changes_zh"]].startswith("若")
    assert "; " in titles["X38"][HEADERS["reasons_en"]]
    trends = [float(row[HEADERS["trend"]]) for row in rows]  # negative numbers stay numbers
    assert min(trends) < 0
    for row in rows:
        for header, cell in row.items():
            if header not in {HEADERS["trend"], HEADERS["elasticity"]}:
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")
def test_a_real_browser_runs_the_page_without_running_the_data(page, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")

    def dump(fragment):
        command = [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=2000",
            "--dump-dom",
            f"file://{path}{fragment}",
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    chinese, english = dump(""), dump("#en")
    assert "<title>选品报告" in chinese
    assert "owned</title>" not in chinese
    shown = page.count('<article class="pick"')
    assert f"{shown} / {shown}" in chinese  # the filter's script ran and counted
    assert 'data-lang="zh"' in chinese
    assert 'data-lang="en"' in english


def test_figures_of_one_category_do_not_stand_for_all_of_them(busy_shop):
    """Selection and bestsellers are told apart by category; the page shows their figures over all."""
    config = SelectionConfig(backtest=BacktestConfig(category_top_k=2, bootstrap_samples=100))
    frame = run_backtest(busy_shop, config=config).frame
    whole = frame.filter(
        (pl.col("part") == "all")
        & (pl.col("segment") == "")
        & (pl.col("scope") == "category")
        & (pl.col("method") == "selection")
        & (pl.col("metric") == "capture")
    )
    apart = frame.filter((pl.col("scope") == "category") & (pl.col("segment") != ""))
    assert apart.height
    wrong = frame.with_columns(pl.when(pl.col("segment") != "").then(0.0).otherwise("value").alias("value"))
    shown = [row for row in table_rows(wrong, config) if "品类" in row["scope"] and row["strong"]]
    assert shown[0]["figures"][3].startswith(percent(whole["value"].item()) + " (")
    charts = [str(panel.chart) for panel in panels(wrong, config)]
    assert charts == [str(panel.chart) for panel in panels(frame, config)]


def test_the_ledger_on_the_page_counts_items_and_waits_for_false_kills(busy_shop):
    config = SelectionConfig()
    about = {
        "night": TODAY,
        "decision": "",
        "horizon_days": 28,
        "days_seen": 28,
        "finished": True,
        "items": 1234,
    }
    rows = [
        about | {"action": "drop", "expected_value": 1.0, "realised_value": 1.0, "false_kills": None},
        about | {"action": "discount", "expected_value": 1.0, "realised_value": 1.0, "false_kills": 0.25},
    ]
    text = render_report(
        replace(inputs_of(busy_shop, config), ledger=pl.DataFrame(rows, schema=LEDGER)), config
    )
    assert '<td class="n">1,234</td>' in text
    assert "pending" in text
    assert "25%" in text
    assert "%%" not in text
    assert "built-in" not in text


def test_the_page_lists_next_hits_and_drops_where_they_are_known(busy_shop):
    config = SelectionConfig(outcomes=OutcomesConfig(hit_ratio=1.2), backtest=BacktestConfig(top_k=10))
    text = render_report(inputs_of(busy_shop, config), config)
    assert "下一批爆款" in text
    assert "淘汰清单" in text
    assert "False kills" in text
    assert "提前天数" in text


def test_the_rules_of_the_drop_list_are_named_by_what_they_hold_least_of(busy_shop):
    config = SelectionConfig(outcomes=OutcomesConfig(hit_ratio=1.2), backtest=BacktestConfig(top_k=10))
    frame = run_backtest(busy_shop, config=config).frame
    named = {
        table.scope: [str(name) for name, _, _ in table.rows] for table in list_tables(frame, config, "CNY")
    }
    assert any("上期畅销" in name for name in named["hits"])
    least = ("最低", "最少", "最慢", "随机", "事后最优")
    assert len(named["drops"]) == len(named["hits"]) > 5
    assert [name for name in named["drops"] if not any(word in name for word in least)] == []
    assert not any("畅销" in name or "bestseller" in name.lower() for name in named["drops"])
    assert any("近 84 天买家最少" in name and "Fewest distinct buyers" in name for name in named["drops"])


def test_every_plain_rule_has_a_name_of_its_own_for_drops():
    days = Days(7, 30, 90)
    for method in (*PLAIN, "score"):
        assert not set(drop_words(method, days)) & set(method_words(method, days)), method
    assert drop_words("bestsellers", days) == (
        "上期销售额最低（7 天）",
        "Least revenue of the last period (7 days)",
    )
    assert drop_words("selection", days) == method_words("selection", days)
