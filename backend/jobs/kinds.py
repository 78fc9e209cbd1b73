"""Which function does which kind of job, and what a worker keeps between two jobs."""

import gc
import sys
from collections.abc import Callable, Hashable, Mapping
from importlib import import_module
from typing import Any, TypeVar, cast

from backend.jobs.context import JobContext
from backend.jobs.queue import JobError

T = TypeVar("T")


class WarmState:
    """Holds one costly thing, such as a loaded pipeline, from one job to the next.

    Asking for another drops the first before the other is made: two never share the memory.
    """

    def __init__(self) -> None:
        self._key: Hashable = None
        self._value: object = None

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made under this key, or `make()`, kept from now on; `key` is not None."""
        if key != self._key:
            self.release()
            self._value = make()
            self._key = key
        return cast("T", self._value)

    def release(self) -> None:
        """Give the memory back, that of the GPU too."""
        self._key = self._value = None
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()


JobHandler = Callable[[JobContext, dict[str, Any], WarmState], None]

HANDLERS: Mapping[str, str | JobHandler] = {
    "generate": "backend.generation.running:run_generation",
    "adherence": "backend.generation.adherence:run_adherence",
    "export": "backend.generation.export.running:run_export",
    "sweep": "backend.generation.sweeps.running:run_sweep",
    "download": "backend.generation.download.running:run_download",
    "check_model": "backend.generation.model_folders:run_check",
    "add_lora": "backend.generation.lora.adding:run_add",
    "convert_model": "backend.generation.single_file.running:run_conversion",
    "import": "backend.corpus.importing:run_import",
    "corpus_export": "backend.corpus.exporting:run_corpus_export",
    "relabel": "backend.corpus.relabelling:run_relabel",
    "caption": "backend.captioning.running:run_captions",
    "compare_captions": "backend.captioning.comparing:run_comparison",
    "review_set": "backend.review.running:run_review_set",
    "build": "backend.generation.building.running:run_build",
    "duplicates": "backend.corpus.duplicate_search:run_duplicates",
    "leakage": "backend.corpus.leakage_search:run_leakage",
    "train_lora": "backend.finetuning.running:run_lora_training",
    "classify": "backend.evaluation.running:run_classify",
    "evaluate": "backend.evaluation.reporting:run_evaluate",
}


SHARDED = ("build", "import", "caption", "classify")
"""Kinds that run on the cluster where there is one; the others stay on this machine."""


def find_handler(kind: str, handlers: Mapping[str, str | JobHandler]) -> JobHandler:
    """The function for a kind, imported now; raises JobError for a kind that nobody does."""
    handler = handlers.get(kind)
    if handler is None:
        raise JobError(
            f"This version of the studio cannot do jobs of the kind '{kind}': remove the job, "
            "or install the version that made it."
        )
    if not isinstance(handler, str):
        return handler
    module, _, name = handler.partition(":")
    return cast("JobHandler", getattr(import_module(module), name))
