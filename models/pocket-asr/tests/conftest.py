"""Where the project's goldens are."""
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))
NAME = "parakeet-tdt-s1"
UNPACKED = tempfile.TemporaryDirectory()
with tarfile.open(HERE.parent.parent / f"tests/golden/{NAME}.tar.xz") as archive:
    archive.extractall(UNPACKED.name, filter="data")
GOLDEN = Path(UNPACKED.name) / NAME
