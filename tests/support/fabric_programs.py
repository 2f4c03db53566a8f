"""Programs that stand in for Fabric's: shell scripts that say what a test wants them to say."""

from __future__ import annotations

from pathlib import Path

from tallystick.network.binaries import PROGRAMS, SAMPLES, VERSION, Binaries

SAYS_VERSION = f'case "$1" in version|-version) echo " Version: v{VERSION}"; exit 0;; esac\n'
#: Writes the file that is named last, as configtxgen does.
MAKES_BLOCK = 'for last; do :; done\necho block > "$last"\n'


def write_programs(directory: Path, **scripts: str) -> Binaries:
    """All of Fabric's programs in ``directory``; those that are not given do nothing, well."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        script = scripts.get(name, MAKES_BLOCK if name == "configtxgen" else "")
        (directory / name).write_text("#!/bin/sh\n" + SAYS_VERSION + script)
        (directory / name).chmod(0o755)
    for name in SAMPLES:
        (directory / name).write_text("peer: {id: jdoe}\nvm: {endpoint: unix, docker: {pull: false}}\n")
    return Binaries(directory)
