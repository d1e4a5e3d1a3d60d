"""Why a port differs: the first layer over tolerance, recomputed under one hypothesis at a time."""

from parity.diagnosis.judge import Diagnosis, diagnose
from parity.diagnosis.view import ROUNDING, Case

__all__ = ["ROUNDING", "Case", "Diagnosis", "diagnose"]
