"""Where the project's goldens are."""
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))
GOLDEN = HERE.parent.parent / "tests/golden/parakeet-tdt-s1"
