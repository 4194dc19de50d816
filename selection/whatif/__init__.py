"""What more promotions would bring: the run's forecasts with them, beside those without."""
