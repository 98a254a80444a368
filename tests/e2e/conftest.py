"""The fixtures are in fixtures.py, where fault/ finds them as well."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fixtures import *
