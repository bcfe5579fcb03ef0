"""The line of JSON that a load generator prints: a `Sample` without CPU times."""

import msgspec

from load.run.latencies import Latencies

from .figures import Sample

__all__ = ["sample_line"]


def sample_line(latencies: Latencies, seconds: float, errors: int) -> str:
    """`latencies` are those of the requests of `seconds`, `errors` of them without a 200."""
    sample = Sample(
        latencies.count / seconds,
        latencies.percentile(50) * 1000,
        latencies.percentile(99) * 1000,
        errors,
    )
    return msgspec.json.encode(sample).decode()
