"""check-kernel's command line, from its words to the reports."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from types import FrameType

from . import archive, build, check, kernel, outfolder, results, trouble

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))))
GUESTS_SHARE = 1 / 12  # of the minutes, for guests to run


def progress(stage: str, seconds: float) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{stage}{f', {seconds:.0f} s' if seconds >= 1 else ''}", end="", file=sys.stderr, flush=True)


def done() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def find_tool() -> str:
    wanted = os.environ.get("PTRAUTH_TRACE")
    places = [wanted] if wanted else [f"{ROOT}/.build/release/ptrauth-trace", f"{ROOT}/.build/debug/ptrauth-trace",
                                      f"{ROOT}/ptrauth-trace", "ptrauth-trace"]
    for place in places:
        found = shutil.which(place)
        if found:
            return found
    raise trouble.Missing(f"{' and '.join(places)} not found: swift build -c release (or name it in PTRAUTH_TRACE)")


def parse(about: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="check-kernel", description=about.split("\n\n")[0], allow_abbrev=False,
                                     epilog=about[about.index("Exit codes"):])
    parser.add_argument("image", nargs="?", metavar="IMAGE", help="arch/arm64/boot/Image, or vmlinuz")
    parser.add_argument("vmlinux", nargs="?", metavar="VMLINUX", help="the same kernel with symbols")
    parser.add_argument("--modules", metavar="DIR", help="where its modules are, if virtio and 9p are modules")
    parser.add_argument("--kernel", metavar="debian[:VERSION]", help="Debian's own: fetched, and kept in the cache")
    parser.add_argument("--build", metavar="TREE", help="build a kernel tree, outside of it; again: what changed")
    parser.add_argument("--config", metavar="FRAGMENT", help="with --build: on top of traces/lab/kernel/lab.config")
    parser.add_argument("--llvm", metavar="SUFFIX", nargs="?", const="1",
                        help="with --build: clang; PATH's, or --llvm=-19, or --llvm=/DIR/")
    parser.add_argument("--baseline", metavar="DIR", help="the out folder of a good kernel, to compare with")
    parser.add_argument("--out", metavar="DIR", default="check-kernel.out", help="(default: %(default)s)")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="of the guests' choices (default: 1)")
    parser.add_argument("--minutes", metavar="M", type=float, default=4.0,
                        help="give up after them (default: 4)")
    parser.add_argument("--guests", metavar="SECONDS", type=float,
                        help="how long guests run (default: a twelfth of --minutes)")
    parser.add_argument("--require", metavar="RULES",
                        help="as analyze has it, or none (default: critical, or those of --rule)")
    parser.add_argument("--rule", metavar="RULES", help="these alone make the kernel wrong: others are older")
    parser.add_argument("--known", metavar="FILE",
                        help="findings of the recording that do not count (analyze --write-known); those of audit and "
                             "compare do")
    parser.add_argument("--pcpus", metavar="N", type=int, default=4, help="of the emulated host (default: 4)")
    parser.add_argument("--append", metavar="WORDS", default="", help="to the kernel's command line")
    parser.add_argument("--vmm", metavar="OPTIONS", action="append", default=[],
                        help="run vmm (traces/lab/workload/vmm.c) with these instead; one process each")
    parser.add_argument("--truth", metavar="QEMU",
                        help="what traces/lab/truth/prepare built: hold the analysis against what its CPUs did")
    parser.add_argument("--exit-code", choices=results.DIALECTS, default="standard")
    options = parser.parse_args()
    if sum(way is not None for way in (options.kernel, options.image, options.build)) != 1:
        raise trouble.Usage("give IMAGE and VMLINUX, or --kernel debian[:VERSION], or --build TREE")
    if options.image and not options.vmlinux:
        raise trouble.Usage("IMAGE alone does not do: VMLINUX has its symbols")
    if (options.config or options.llvm) and not options.build:
        raise trouble.Usage("--config and --llvm go with --build")
    if options.modules and not options.image:
        raise trouble.Usage("--modules goes with IMAGE and VMLINUX")
    if not 0 < options.minutes <= 600 or not 1 <= options.pcpus <= 8:
        raise trouble.Usage("--minutes is up to 600, --pcpus 1 to 8")
    if options.guests is None:
        options.guests = options.minutes * 60 * GUESTS_SHARE
    if not 0 < options.guests < options.minutes * 60:
        raise trouble.Usage("--guests is seconds, less than --minutes has")
    for name in ("rule", "require", "known", "baseline", "config", "kernel", "build", "truth"):
        if getattr(options, name) == "":
            raise trouble.Usage(f"--{name} is empty")
    if options.rule is not None and options.baseline is not None:
        raise trouble.Usage("--rule or --baseline, not both: what is new since then may be of any rule")
    if options.known is not None:
        ask_schema(options.known, "ptrauth-trace/known/", "list of known findings: analyze --write-known writes one")
    if options.baseline is not None:
        report = os.path.join(options.baseline, "analysis.json")
        if not os.path.isfile(report):
            raise trouble.Usage(f"{options.baseline} has no analysis.json: give the out folder of an earlier run")
        ask_schema(report, "ptrauth-trace/analysis/", "report of analyze: give the out folder of an earlier run")
    return options


def ask_schema(path: str, schema: str, what: str) -> None:
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        raise trouble.Usage(f"{path}: {str(error.strerror).lower()}") from error
    except ValueError:
        document = None
    if not isinstance(document, dict) or not str(document.get("schema")).startswith(schema):
        raise trouble.Usage(f"{path} is no {what}")


def choose(options: argparse.Namespace, packages: archive.Archive, out: str) -> kernel.Kernel:
    if options.build is not None:
        return build.build(options.build, options.config, options.llvm, os.path.join(ROOT, "traces", "lab"),
                           packages.folder, out + "/build.log", progress)
    if options.kernel is None:
        return kernel.of_files(options.image, options.vmlinux, options.modules)
    distribution, _, version = options.kernel.partition(":")
    if distribution != "debian":
        raise trouble.Usage(f"--kernel {options.kernel}: only debian[:VERSION] is known")
    progress("fetching the kernel", 0)
    return kernel.of_debian(packages, version)


def ask_rules(tool: str, options: argparse.Namespace) -> None:
    """A rule that does not exist is told before anything is built or booted: no revision would do better."""
    words = [*(["--require", options.require] if options.require not in (None, "none") else []),
             *(["--rule", options.rule] if options.rule else [])]
    if words:
        asked = subprocess.run([tool, "analyze", "-q", *words, "-o", os.devnull, "/nonexistent"], check=False,
                               capture_output=True, text=True)
        if asked.returncode == 64:
            raise trouble.Usage(asked.stderr.splitlines()[0].removeprefix("Error: "))


def requirement(options: argparse.Namespace) -> str:
    """What has to be judged: a rule that is sought, whatever else is required."""
    if options.rule is None or options.require == "none":
        return options.require or "critical"
    return ",".join(dict.fromkeys(filter(None, (options.require, options.rule))))


def inputs(options: argparse.Namespace) -> list[str]:
    named = [options.image, options.vmlinux, options.modules, options.build, options.config, options.known,
             options.truth]
    if options.baseline:
        named.append(os.path.join(options.baseline, "analysis.json"))
    return [path for path in named if path]


def judge(options: argparse.Namespace) -> int:
    out = outfolder.claim(options.out, inputs(options))  # first: what fails below leaves no older verdict there
    packages = archive.Archive(archive.cache_folder())
    tool = find_tool()
    ask_rules(tool, options)
    settings = check.Options(tool=tool, out=out, seed=options.seed, minutes=options.minutes, guests=options.guests,
                             baseline=options.baseline, require=requirement(options),
                             rules=options.rule, known=options.known, pcpus=options.pcpus,
                             arguments=options.append, vmm=options.vmm, truth=options.truth)
    begin = time.monotonic()
    try:
        chosen = choose(options, packages, out)
        taken = time.monotonic() - begin
        with tempfile.TemporaryDirectory(prefix="check-kernel.") as scratch:
            outcome = check.Check(chosen, settings, scratch, progress).run(packages)
        if chosen.refused:
            outcome.tests.insert(0, results.Test("build", results.Status.PASSED,
                                                 "options that did not take: " + ", ".join(chosen.refused)))
        if options.image is None:
            outcome.seconds = {"build" if options.build else "fetch": taken} | outcome.seconds
    except trouble.Unbootable as problem:
        words, *lines = str(problem).splitlines()
        name = os.path.basename(os.path.realpath(options.build or options.image or "kernel"))
        outcome = results.Results(name, options.seed)
        outcome.seconds["build"] = time.monotonic() - begin
        outcome.add("build", results.Status.UNTRIED, words, lines)
    for name, text in (("check.ktap", outcome.as_ktap()), ("check.xml", outcome.as_junit()),
                       ("check.txt", outcome.as_text()),
                       ("check.json", json.dumps(outcome.as_document(options.exit_code), indent=2) + "\n")):
        outfolder.write(out, name, text)
    done()
    show(outcome.as_ktap())
    return outcome.exit_code(options.exit_code)


def show(text: str) -> None:
    try:
        print(text, end="", flush=True)
    except OSError as problem:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still in the buffer is tried again at the end
        raise trouble.Missing(f"standard output: {problem.strerror}; the verdict is in check.txt") from problem


def end(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


def main(about: str, setup_code: int) -> int:
    """setup_code: the exit code of whatever is no word on the kernel."""
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in ends:
        signal.signal(number, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)  # whoever starts this may have blocked them
    try:
        return judge(parse(about))
    except KeyboardInterrupt as stop:
        done()
        number = stop.args[0] if stop.args else signal.SIGINT
        return 128 + int(number)
    except (trouble.Missing, trouble.Usage) as problem:
        done()
        print(f"check-kernel: {problem}", file=sys.stderr)
        return setup_code
    except OSError as problem:  # a full disk, for one
        done()
        print(f"check-kernel: {problem}", file=sys.stderr)
        return setup_code
    except Exception:  # a mistake here is no word on the kernel, and 1 would be one
        done()
        traceback.print_exc()
        return setup_code
    except SystemExit as usage:  # argparse's own
        return 0 if usage.code in (0, None) else setup_code
