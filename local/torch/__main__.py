"""Lets `python local/torch` start the engine, or report why this Python can't."""

import json
import platform
import sys

if sys.version_info < (3, 11):  # noqa: UP036
    report = {
        "python": platform.python_version(),
        "packages": {},
        "problem": "Python " + platform.python_version() + " is too old, 3.11 or newer is needed",
    }
    print(json.dumps(report) if "--check" in sys.argv else report["problem"])
    sys.exit(1)

from arkor_torch.cli import main

if __name__ == "__main__":
    main()
