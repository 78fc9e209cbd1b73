"""A run that is to write for TensorBoard or trackio is refused where these are not installed."""

import sys

import pytest

from backend.finetuning.config import TrainingConfig, TrainingData
from backend.finetuning.errors import FinetuningError
from backend.finetuning.mirroring import require_mirrors

CONFIG = TrainingConfig(data=TrainingData(caption_set="paper"))


@pytest.mark.parametrize("package", ["tensorboard", "trackio"])
def test_a_package_that_is_missing_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(FinetuningError, match=f"pip install {package}"):
        require_mirrors(CONFIG.model_copy(update={package: True}))


def test_nothing_is_asked_of_a_run_that_writes_for_neither() -> None:
    require_mirrors(CONFIG)
