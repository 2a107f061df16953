"""Writes constraints.txt: the newest versions that pyproject.toml allows, as a new environment gets them."""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = "# The versions that make installs. Written by `make lock`; not to be edited."
_LEFT_OUT = ("claude-code-client", "setuptools")


def main() -> int:
    """Installs, lists, writes."""
    with tempfile.TemporaryDirectory() as work:
        venv.create(work, with_pip=True)
        pip = [str(Path(work, "bin", "python")), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-qq", "--upgrade", "pip"], check=True)
        subprocess.run([*pip, "install", "-qq", "--editable", ".[server]", "--group", "dev"], cwd=ROOT, check=True)
        excluded = [option for name in _LEFT_OUT for option in ("--exclude", name)]
        done = subprocess.run([*pip, "list", "--format", "freeze", *excluded], check=True, stdout=subprocess.PIPE)
    lines = [HEAD, *sorted(done.stdout.decode().splitlines(), key=str.lower)]
    (ROOT / "constraints.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
