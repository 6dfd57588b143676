"""`--check`: finds out whether this Python can run the engine."""

from __future__ import annotations

import json
import platform
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def check(*, ray: bool) -> None:
    """Prints one line of JSON, and exits with status 1 if there's a problem."""
    report = {"python": platform.python_version(), "packages": {}} | _report(ray=ray)
    print(json.dumps(report))
    sys.exit("problem" in report)


def _report(*, ray: bool) -> dict[str, object]:
    project = tomllib.loads(PROJECT.read_text())["project"]
    needed = project["dependencies"] + (project["optional-dependencies"]["ray"] if ray else [])
    packages, problems = {}, []
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        # The required packages depend on it, so they are missing too.
        return {"problem": f"{project['dependencies'][0]} is missing, and what comes with it"}
    for requirement in map(Requirement, needed):
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            packages[requirement.name] = found = version(requirement.name)
        except PackageNotFoundError:
            problems.append(f"{requirement} is missing")
            continue
        # A build for another kind of GPU, such as 2.15.0+cu130, satisfies the requirement too.
        if not requirement.specifier.contains(found.split("+", maxsplit=1)[0]):
            problems.append(f"{requirement.name} is {found}, and {requirement.specifier} is needed")
    if problems:
        return {"packages": packages, "problem": "; ".join(problems)}
    try:
        from arkor_torch import devices

        device = devices.device()
    except Exception as error:
        return {"packages": packages, "problem": f"torch can't be loaded: {error}"}
    return {"packages": packages, "device": str(device), "deviceName": devices.name(device)}
