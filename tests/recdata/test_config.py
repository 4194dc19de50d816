from __future__ import annotations

from pathlib import Path

import pytest

from recdata.config import DataConfig, load_config
from recdata.errors import ConfigError


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recsvc.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_every_key_has_its_default() -> None:
    assert load_config(None, "data", DataConfig) == DataConfig()


def test_a_key_in_the_file_wins_over_the_default(tmp_path: Path) -> None:
    path = written(tmp_path, '[data]\nbusiness_timezone = "Asia/Shanghai"\n')
    assert load_config(path, "data", DataConfig).business_timezone == "Asia/Shanghai"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[data]\nmax_reject_share = 1.5", r"data\.max_reject_share = 1\.5: Expected `float` <= 1\.0"),
        ("[data]\nmax_reject_share = 'x'", r"data\.max_reject_share = 'x': Expected `float`, got `str`"),
        ("[data]\nmax_rejct = 1", r"unknown field `max_rejct`"),
        ("[dta]\n", r"unknown table \[dta\]; the tables are data, training"),
        ("[data\n", r"cannot be read as TOML"),
    ],
)
def test_a_wrong_config_names_key_value_and_remedy(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(written(tmp_path, text), "data", DataConfig)


def test_an_unknown_time_zone_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, '[data]\nbusiness_timezone = "Mars/Olympus"\n')
    with pytest.raises(ConfigError, match=r"Mars/Olympus.*IANA"):
        load_config(path, "data", DataConfig)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load_config(tmp_path / "none.toml", "data", DataConfig)
