#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Builds a Microkit SDK whose release kernels a guest cannot stop: docs/sdk.md.

Run in a clean folder of Microkit's sources. Every argument is build_sdk.py's, but for

  --smp-cores N   cores of the SMP kernels (2 unless given)

Kernel options are changed in build_sdk.py's own tables before it runs, and afterwards read back from
what each kernel says of itself: an option that another one switches off would go unnoticed.
"""

import argparse
import json
import sys
from pathlib import Path

# Option of seL4's build; its name in gen_config.json; its value. The reasons are in docs/sdk.md.
RELEASE = (
    ("KernelVerificationBuild", "VERIFICATION_BUILD", False),
    ("HardwareDebugAPI", "HARDWARE_DEBUG_API", True),
    ("KernelDebugBuild", "DEBUG_BUILD", False),
    ("KernelPrinting", "PRINTING", False),
    ("KernelBootThreadTimeSlice", "BOOT_THREAD_TIME_SLICE", "1000"),
)


def wanted(config, cores):
    """What gen_config.json of a configuration must say."""
    values = {"ENABLE_SMP_SUPPORT": config.startswith("smp-")}
    if values["ENABLE_SMP_SUPPORT"]:
        values["MAX_NUM_NODES"] = str(cores)
    if config.removeprefix("smp-") == "release":
        values |= {name: value for _, name, value in RELEASE}
    return values


def check(sdk, cores):
    """The sentences about kernels that are not as wanted."""
    paths = sorted(sdk.glob("board/*/*/include/kernel/gen_config.json"))
    if not paths:
        yield f"{sdk}: no kernel says what it was made of (include/kernel/gen_config.json)"
    for path in paths:
        config = path.parents[2].name
        says = json.loads(path.read_text())
        for name, value in wanted(config, cores).items():
            if says.get(name) != value:
                yield f"{path}: {name} is {says.get(name)!r}, should be {value!r}"


def main():
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--smp-cores", type=int, default=2, choices=range(2, 9))
    ours, theirs = own.parse_known_args()

    if not Path("build_sdk.py").is_file():
        sys.exit("error: there is no build_sdk.py here: run this in the folder of Microkit's sources")
    # Options of an earlier build outlive their change in CMake's cache.
    for folder in ("build", "release"):
        if Path(folder).exists():
            sys.exit(f"error: ./{folder} is of an earlier build: remove it")

    sys.path.insert(0, str(Path.cwd()))
    import build_sdk

    for config in build_sdk.SUPPORTED_CONFIGS:
        if config.name == "release":
            config.kernel_options |= {option: value for option, _, value in RELEASE}
    for board in build_sdk.SUPPORTED_BOARDS:
        if board.smp_cores is not None:
            board.smp_cores = ours.smp_cores
    sys.argv = ["build_sdk.py", *theirs]
    build_sdk.main()

    complaints = [text for sdk in Path("release").iterdir() if sdk.is_dir() for text in check(sdk, ours.smp_cores)]
    for text in complaints:
        print(f"error: {text}", file=sys.stderr)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
