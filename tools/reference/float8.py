"""
What each of the 256 bytes of the two eight-bit floats of weight files is as a float32: test/fixtures/float8/, as the
bits of a float32 in hexadecimal. By ml_dtypes, whose types PyTorch's `float8_e4m3fn` and `float8_e5m2` agree with; Debian's
PyTorch is older than either. Bits of numbers that are none are left out: only that they are none is defined.
"""

import sys
from pathlib import Path

import fixtures

sys.path.insert(0, str(Path(__file__).resolve().parent / ".venv" / "ml_dtypes-0.3.2"))
import ml_dtypes
import numpy

bytes_ = numpy.arange(256, dtype=numpy.uint8)


def table(dtype):
    values = bytes_.view(dtype).astype(numpy.float32)
    return [None if numpy.isnan(value) else f"{int(value.view(numpy.uint32)):08x}" for value in values]


folder = fixtures.fixtures / "float8"
tables = {"F8_E4M3": table(ml_dtypes.float8_e4m3fn), "F8_E5M2": table(ml_dtypes.float8_e5m2)}
fixtures.write_json(folder / "tables.json", tables, indent=None)
fixtures.write_provenance(folder, ["ml_dtypes", "numpy"])
