"""Look at a data set before anything is trained on it."""

import time
from typing import TYPE_CHECKING

from transferkit.api.inputs import Data, open_data
from transferkit.cache import cache_root
from transferkit.data.audit import Audit
from transferkit.data.audit import audit as audit_of
from transferkit.data.examine import examine

if TYPE_CHECKING:
    import pandas as pd


def audit(data: Data, *, exclude: str | None = None, group_by: str | None = None) -> Audit:
    """The audit of a data set: its classes, and every finding.

    Args:
        data: as `finetune` takes it.
        exclude: file that lists paths to leave out.
        group_by: a column of the manifest, or a regular expression on paths; see `finetune`.

    Raises:
        UsageError, DataError: there are no images at all; see `open_data`.
    """
    started = time.perf_counter()
    index = open_data(data, exclude, group_by=group_by)
    examined = examine(index, cache_root())
    return audit_of(examined, seconds=time.perf_counter() - started)


def inspect(data: Data, *, exclude: str | None = None, group_by: str | None = None) -> "pd.DataFrame":
    """The findings of the audit: `path,finding,level,detail`, errors first.

    `audit` gives the counts of the classes too. Arguments and errors are the same.
    """
    return audit(data, exclude=exclude, group_by=group_by).findings
