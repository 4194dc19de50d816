"""Owns what is asked of Prophet: one optimiser, no sampling, features made once, no files left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from prophet import Prophet

from training.forecast.fits import Floats, SeriesTask

#: A regressor that varies less than this, as a standard deviation of its share, explains nothing.
MIN_VARIATION = 0.01


class _OneFrameProphet(Prophet):
    """A Prophet that makes its features for history and horizon in one go.

    Making them twice, in `fit` and again in `predict`, is two fifths of a fit's time. Features depend on
    the day and on regressors scaled by the history, so rows made together equal rows made apart.
    """

    whole: pd.DataFrame
    made: Any = None

    def make_all_seasonality_features(self, df: pd.DataFrame) -> Any:  # noqa: ANN401 - types vary by release
        """Returns the features of the first rows of the whole frame; scales must be set by then."""
        if self.made is None:
            self.made = super().make_all_seasonality_features(self.setup_dataframe(self.whole.copy()))
        features, *others = self.made
        return features.iloc[: len(df)], *others

    def parts(self) -> tuple[Floats, Floats]:
        """Returns trend and all other terms over history and horizon, in units."""
        whole = self.setup_dataframe(self.whole.copy())
        features, *_ = self.make_all_seasonality_features(whole)
        rest = features.to_numpy(dtype=np.float64) @ self.params["beta"][0] * self.y_scale
        return np.asarray(self.predict_trend(whole), dtype=np.float64), rest


def fit_prophet(task: SeriesTask, age: int) -> tuple[Floats, Floats]:
    """Returns trend and all other terms of a Prophet fit, each float64 `(age + horizon,)`, in units.

    Args:
        task: the series and its settings.
        age: how many of its latest days to fit.

    Raises:
        RuntimeError: the optimiser failed.
        TimeoutError: it took longer than `fit_seconds`.
    """
    config = task.config
    skipped = len(task.values) - age
    whole = pd.DataFrame({"ds": pd.date_range(task.start, periods=len(task.values) + task.horizon)[skipped:]})
    known = {
        name: x[skipped:]
        for name, x in task.regressors.items()
        if x[skipped : skipped + age].std() > MIN_VARIATION
    }
    for name, column in known.items():
        whole[name] = column
    model = _OneFrameProphet(
        uncertainty_samples=0,
        daily_seasonality=False,
        changepoint_prior_scale=config.changepoint_prior_scale,
        changepoint_range=config.changepoint_range,
    )
    model.whole = whole
    backend: Any = model.stan_backend
    # Newton, the fallback of a fit that ends early, is what hangs: facebook/prophet#842, #2395.
    backend.set_options(newton_fallback=False)
    for name in known:
        model.add_regressor(name)
    history = whole.iloc[:age].assign(y=task.values[skipped:])
    try:
        # Below 100 points Prophet would take Newton unasked.
        model.fit(history, algorithm="LBFGS", timeout=config.fit_seconds, require_converged=False)
    finally:
        backend.cleanup()
    return model.parts()
