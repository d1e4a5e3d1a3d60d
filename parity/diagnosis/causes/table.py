"""The table of causes. Within a tier its order decides which is named first."""

from __future__ import annotations

from parity.diagnosis.causes import rows_fitted, rows_of_flow, rows_of_tensors

HYPOTHESES = (*rows_of_tensors.ROWS, *rows_of_flow.ROWS, *rows_fitted.ROWS)
