"""Items that no agent has tried: predicted from features."""

from harness.predict.predictor import (
    Predictor,
    calibrate_explained,
    fit_predictor,
    load_predictor,
    predicted_items,
    predictor_of,
    save_predictor,
)

__all__ = [
    "Predictor",
    "calibrate_explained",
    "fit_predictor",
    "load_predictor",
    "predicted_items",
    "predictor_of",
    "save_predictor",
]
