"""The machine's roofs, from a record's probes, and how near to them some work came.

The roofline model: Williams, Waterman & Patterson, "Roofline: an insightful visual performance
model for multicore architectures" (2009). A peak is the best of matrix products and 3x3
convolutions of any framework: neither alone is a ceiling.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.roofline.probes import KERNELS, convolution_flops

Row = dict[str, Any]


def _reached(entry: Mapping[str, Any]) -> Iterator[Row]:
    """GFLOP/s of every product and convolution of one process."""
    for product in entry["products"]:
        n = product["n"]
        gflops = 2 * n**3 / min(product["device_ns"])
        yield {"gflops": gflops, "n": n, "what": f"at n = {n}"}
    for convolution in entry.get("convolutions", ()):
        batch, channels, side = (convolution[key] for key in ("batch", "channels", "side"))
        gflops = convolution_flops(batch, channels, side) / min(convolution["device_ns"])
        shape = f"{batch}×{channels}×{side}×{side}"
        what = f"in a 3×3 convolution of {shape}, {convolution['layout']}"
        yield {"gflops": gflops, "n": None, "what": what}


def peaks(record: Mapping[str, Any], precision: str) -> list[Row]:
    """Each framework's fastest product or convolution of the run, the fastest framework first.

    Rows of framework, GFLOP/s and what it was; n is a product's, else None. Where one framework's
    is far below the other's, its library is not at home on this processor, and its networks will
    show it too. A row under autocast is held against the precision that its kernels work in.
    """
    best: dict[str, Row] = {}
    for entry in record["peaks"]:
        same = entry["precision"] == KERNELS.get(precision, precision)
        for reached in _reached(entry) if same else ():
            name = entry["framework"]
            if name not in best or reached["gflops"] > best[name]["gflops"]:
                best[name] = {"framework": name, **reached}
    return sorted(best.values(), key=lambda row: -float(row["gflops"]))


def bandwidths(record: Mapping[str, Any]) -> list[Row]:
    """Each framework's fastest copy of the run in GB/s, the fastest framework first.

    Bytes read and bytes written both count, as in STREAM; that a cache first reads the line which
    is written does not (McCalpin 1995, "Memory bandwidth and machine balance").
    """
    best: dict[str, Row] = {}
    for entry in record["peaks"]:
        for copy in entry.get("copies", ()):
            name, size = entry["framework"], copy["bytes"]
            rate = 2 * size / min(copy["device_ns"])
            if name not in best or rate > best[name]["gbytes_per_s"]:
                best[name] = {"framework": name, "gbytes_per_s": rate, "bytes": size}
    return sorted(best.values(), key=lambda row: -float(row["gbytes_per_s"]))


@dataclass(frozen=True)
class Roof:
    """The best that any framework reached; None where it was not measured."""

    gflops: float | None
    gbytes_per_s: float | None

    def shares(self, flops: int, moved: int | None, ns: float) -> Row:
        """How near work of ``ns`` nanoseconds came; None for what needs what is not known.

        ``share_of_roof`` is of the least time that the two peaks allow. ``bound`` is "memory"
        where there are fewer operations per byte than the machine has, else "compute".
        """
        peak, bandwidth = self.gflops, self.gbytes_per_s
        row: Row = {
            "gflops": flops / ns,
            "share_of_peak": flops / ns / peak if peak else None,
            "share_of_bandwidth": moved / ns / bandwidth if moved and bandwidth else None,
            "share_of_roof": None,
            "bound": None,
        }
        if row["share_of_peak"] is not None and row["share_of_bandwidth"] is not None:
            shares = {"compute": row["share_of_peak"], "memory": row["share_of_bandwidth"]}
            bound = max(shares, key=lambda name: shares[name])
            row |= {"share_of_roof": shares[bound], "bound": bound}
        return row


def roof(record: Mapping[str, Any], precision: str) -> Roof:
    """The machine's, for a precision, as a record has it."""
    fast, wide = peaks(record, precision), bandwidths(record)
    return Roof(fast[0]["gflops"] if fast else None, wide[0]["gbytes_per_s"] if wide else None)
