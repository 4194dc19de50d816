"""The page opens offline, escapes everything, is looked at in a real browser; nights can be listed."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import date, timedelta
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from recdata.config import DataConfig
from recdata.runs import RunFolder
from tests.training.test_evaluate import ALS, AS_OF, CONFIG, INTERACTIONS, RANKING, shop, stage_run
from training.evaluate import evaluate_stages
from training.evaluate.nights import print_nights, read_nights
from training.evaluate.page.charts import Row, bar_chart, curve_chart, nice_top, point_chart
from training.evaluate.page.stage import PAGE_NAME, page_stage
from training.evaluate.results import Cell, read_evaluation

EVIL = '"><script>document.title="owned"</script>中文'
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SHORT = msgspec.structs.replace(CONFIG, test_days=14, periods=2)


class Page(HTMLParser):
    """Collects tags and what they refer to."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.references = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.references += [value for name, value in attrs if name in {"src", "href", "srcset", "action"}]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = stage_run(tmp_path_factory.mktemp("home"), shop(), SHORT, regions=("north", EVIL))
    run.execute([*evaluate_stages(INTERACTIONS, ALS, RANKING, SHORT), page(SHORT)])
    return run


def page(config):
    return page_stage(INTERACTIONS, ALS, RANKING, config, DataConfig(currency="EUR"))


@pytest.fixture
def text(run: RunFolder) -> str:
    return (run.path / PAGE_NAME).read_text(encoding="utf-8")


def test_the_page_refers_to_nothing_outside_itself(text: str) -> None:
    parsed = Page(text)
    assert parsed.references
    assert all(reference.startswith("#") for reference in parsed.references)
    assert "url(" not in text
    assert "@import" not in text
    assert not re.findall(r"https?://", text)
    policy = next(attrs for tag, attrs in parsed.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")


def test_names_that_come_from_data_are_escaped_everywhere(text: str) -> None:
    assert "<script>document" not in text
    assert "&lt;script&gt;document.title=" in text
    assert sum(tag == "script" for tag, _ in Page(text).tags) == 1


def test_every_text_stands_in_both_languages_and_the_page_is_chinese_first(text: str) -> None:
    tags = Page(text).tags
    assert dict(tags)["html"]["lang"] == "zh-CN"
    languages = [attrs.get("lang") for _, attrs in tags]
    assert languages.count("zh") == languages.count("en") > 100
    charts = [attrs for tag, attrs in tags if tag == "svg"]
    assert len(charts) == 8 + 6 + 4  # curves, periods and segments
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)


def test_the_figures_are_those_of_the_table(run: RunFolder, text: str) -> None:
    found = read_evaluation(run, 2)
    served = found.cell("served", "ndcg")
    assert f"{served.value:.3f} ({served.low:.3f}–{served.high:.3f})" in text
    ratio = found.pair("served", "own_frequency", "ndcg").ratio
    assert f'<p class="big">{ratio.value:.2f} <small>' in text
    spent = found.cell("served", "revenue_captured").value * found.users("revenue_captured")
    assert f"<b>€{spent:,.2f}</b>" in text or f"<b>€{spent:,.0f}</b>" in text
    assert str(AS_OF - timedelta(days=28)) in text  # the earlier period


def test_a_model_that_knows_nothing_never_bought_is_not_drawn_there(text: str) -> None:
    curves = text.split('id="curves"')[1].split("</section>")[0]
    assert curves.count('class="l m-served"') == 8
    assert curves.count('class="l m-own_frequency"') == 4


def test_a_page_without_anything_to_judge_says_why(tmp_path: Path) -> None:
    run = stage_run(tmp_path, shop(first_age=7))
    run.execute([page(CONFIG)])
    shown = (run.path / PAGE_NAME).read_text(encoding="utf-8")
    assert "没有可评估的数据" in shown
    assert "no purchases before 2024-05-04" in shown


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")
def test_a_real_browser_switches_the_language_and_runs_no_data(run: RunFolder, tmp_path: Path) -> None:
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", f"--user-data-dir={tmp_path}", "--dump-dom"]
    shown = subprocess.run(
        [*command, f"file://{run.path / PAGE_NAME}#en"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert 'data-lang="en"' in shown
    assert "<title>推荐评估" in shown
    assert "owned</title>" not in shown


def points(path: str) -> list[tuple[float, float]]:
    return [tuple(map(float, pair.split())) for pair in path.removeprefix("M").split("L")]


def test_a_curve_starts_at_the_left_and_its_heights_are_in_proportion() -> None:
    chart = curve_chart({"served": [1.0, 0.5, 0.0]}, mark=2, label="x")
    drawn = points(re.search(r'd="(M[^"]+)"', chart)[1])
    (left, top), (middle, half), (right, bottom) = drawn
    assert left < middle < right
    assert half - top == pytest.approx(bottom - half)
    assert f'cx="{middle:g}" cy="{half:g}"' in chart  # the mark


def test_a_bar_is_as_long_as_its_figure_and_a_missing_one_is_left_out() -> None:
    rows = [Row("甲", "a", {"served": Cell(0.2, 0.1, 0.3), "als": Cell(0.4)}), Row("乙", "b", {})]
    chart = bar_chart(rows, ("als", "served"), label="x")
    widths = {
        model: float(width) for model, width in re.findall(r'class="b m-(\w+)"[^>]*width="([\d.]+)"', chart)
    }
    assert widths["als"] == pytest.approx(2 * widths["served"], abs=0.2)
    assert chart.count('class="w"') == 1


def test_a_point_is_green_only_where_its_whole_interval_is_above_one() -> None:
    cells = [Cell(1.2, 1.1, 1.3), Cell(1.2, 0.9, 1.5), Cell(0.8, 0.7, 0.9)]
    rows = [Row(str(at), str(at), {"served": cell}) for at, cell in enumerate(cells)]
    chart = point_chart(rows, at=1.0, label="x")
    assert re.findall(r'class="d (\w+)"', chart) == ["up", "flat", "down"]


@pytest.mark.parametrize(("value", "top"), [(0.0, 1.0), (0.051, 0.06), (0.9, 1.0), (1.0, 1.0), (23.0, 24.0)])
def test_an_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert nice_top(value) == pytest.approx(top)


def listed(home: Path) -> str:
    out = StringIO()
    print_nights(Console(file=out, width=120), read_nights(home), home)
    return out.getvalue()


def test_nights_are_listed_with_their_figures_and_periods_that_differ_are_said(
    run: RunFolder, tmp_path: Path
) -> None:
    for name, days in (("20240601-aaaaaaaa", 0), ("20240602-bbbbbbbb", 1)):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        headline = msgspec.json.decode((run.path / "evaluation.json").read_bytes())
        headline["test_start"] = str(date.fromisoformat(headline["test_start"]) + timedelta(days=days))
        (folder / "evaluation.json").write_bytes(msgspec.json.encode(headline))
    (tmp_path / "runs" / "20240602-bbbbbbbb" / "published.json").write_text('{"snapshot_id": "s2"}')
    (tmp_path / "runs" / "cut off").mkdir()
    (tmp_path / "runs" / "cut off" / "evaluation.json").write_text("{")
    nights = read_nights(tmp_path)
    assert [(night.run_id[:8], night.snapshot_id) for night in nights] == [
        ("20240601", ""),
        ("20240602", "s2"),
    ]
    text = listed(tmp_path)
    ndcg = nights[0].headline.figure("ndcg")
    assert text.count(f"{ndcg:.3f}") >= 2
    assert "compare the quotients" in text
    assert max(map(len, text.splitlines())) <= 120


def test_a_home_without_nights_says_how_to_make_one(tmp_path: Path) -> None:
    assert "`recsvc evaluate` makes one" in listed(tmp_path)
