"""Writes a trained model as a folder that MLflow can load, before MLflow sees it, so that it can be sealed.

The format is MLflow's "MLflow Model": the file MLmodel names the loader and the signature. Nothing here
depends on the time or on a run: the same model gives the same bytes.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import yaml

from tallystick.policy import DatasetPolicy
from tallystick.steps.learn import LIGHTGBM, Model

_ENVIRONMENT: Final = "python_env.yaml"
_REQUIREMENTS: Final = "requirements.txt"


def write_model_folder(folder: Path, model: Model, policy: DatasetPolicy, classes: int) -> None:
    """Write ``model`` to ``folder``, which must be there and empty. Holds no input example."""
    packages = ["lightgbm"] if model.format == LIGHTGBM else ["scikit-learn", "skops"]
    requirements = [f"{name}=={version(name)}" for name in ("mlflow", "numpy", "pandas", *packages)]
    described = {
        "flavors": _lightgbm(model) if model.format == LIGHTGBM else _sklearn(model),
        "mlflow_version": version("mlflow"),
        "signature": _signature(model, policy, classes),
    }
    environment = {"python": platform.python_version(), "dependencies": [f"-r {_REQUIREMENTS}"]}
    (folder / model.name).write_bytes(model.data)
    (folder / _REQUIREMENTS).write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
    (folder / _ENVIRONMENT).write_text(yaml.safe_dump(environment), encoding="utf-8")
    (folder / "MLmodel").write_text(yaml.safe_dump(described), encoding="utf-8")


def _lightgbm(model: Model) -> dict[str, Any]:
    return {
        "lightgbm": {
            "code": None,
            "data": model.name,
            "lgb_version": version("lightgbm"),
            "model_class": "lightgbm.basic.Booster",
            "serialization_format": "skops",  # of what is no Booster: here of nothing
        },
        "python_function": {**_python("mlflow.lightgbm"), "data": model.name},
    }


def _sklearn(model: Model) -> dict[str, Any]:
    return {
        "sklearn": {
            "code": None,
            "pickled_model": model.name,  # MLflow's name for it; the file is skops'
            "serialization_format": "skops",
            "skops_trusted_types": list(model.trusted),
            "sklearn_version": version("scikit-learn"),
        },
        "python_function": {
            **_python("mlflow.sklearn"),
            "model_path": model.name,
            "predict_fn": "predict",
        },
    }


def _python(loader: str) -> dict[str, Any]:
    return {
        "env": {"virtualenv": _ENVIRONMENT},
        "loader_module": loader,
        "python_version": platform.python_version(),
    }


def _signature(model: Model, policy: DatasetPolicy, classes: int) -> dict[str, str]:
    inputs = [
        {"type": _type(policy.column(name).type), "name": name, "required": True} for name in policy.features
    ]
    if model.format == LIGHTGBM and classes > 2:
        spec = {"dtype": "float64", "shape": [-1, classes]}
        return {
            "inputs": json.dumps(inputs),
            "outputs": json.dumps([{"type": "tensor", "tensor-spec": spec}]),
        }
    # Of a classification scikit-learn's flavour gives the index of the class, LightGBM's its probability.
    kind = "long" if classes and model.format != LIGHTGBM else "double"
    return {"inputs": json.dumps(inputs), "outputs": json.dumps([{"type": kind, "required": True}])}


def _type(kind: str) -> str:
    return "string" if kind == "string" else "double"
