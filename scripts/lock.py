"""Write constraints.txt: the newest versions that pyproject.toml allows, resolved in a new environment."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Versions of the development and benchmark environments. Written by `make lock`. Do not edit."
_GROUPS = ("dev", "bench")
_EXCLUDED = ("claude-code-client", "setuptools")


def main() -> int:
    """Install everything, list the versions and write them."""
    with tempfile.TemporaryDirectory() as work:
        venv.create(work, with_pip=True)
        pip = [str(Path(work, "bin", "python")), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-qq", "--upgrade", "pip"], check=True)
        groups = [option for name in _GROUPS for option in ("--group", name)]
        subprocess.run([*pip, "install", "-qq", "--editable", ".[server,dask]", *groups], cwd=ROOT, check=True)
        excluded = [option for name in _EXCLUDED for option in ("--exclude", name)]
        listing = subprocess.run([*pip, "list", "--format", "freeze", *excluded], check=True, stdout=subprocess.PIPE)
    lines = [HEADER, *sorted(listing.stdout.decode().splitlines(), key=str.lower)]
    (ROOT / "constraints.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
