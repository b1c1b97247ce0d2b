"""Random configs, made by changing shipped ones: `python tests/experiment/fuzzing.py --minutes 10`.

Every document must load, or be refused by a ConfigError whose every line names file, line and column, within seconds of
processor time. With `--cli`, what is typed is as odd: `farback run FILE --dry-run --set ... --only ...` must end with
exit code 0, or with 2 and a message. Whatever else happens is a find: it is printed, and belongs in
test_hostile_configs.py.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from farback import cells, encoders, inits, measures, schedules, tasks
from farback.cli import main
from farback.experiment import ConfigError, Experiment, Sweep
from farback.trials.trial import Trial

CONFIGS = Path(__file__).parent.parent.parent / "configs"
SECONDS = 30  # of processor time for one document; a refusal takes a tenth of one
LARGEST_MESSAGE = 4000
# What has no line: a file that is not read at all, a name of the file, a combination of a whole sweep.
PLACED = re.compile(r"^fuzzed\.yaml:\d+:\d+: ")
UNPLACED = re.compile(r"^(fuzzed\.yaml: is larger than \d+ kB|and \d+ more$)")

WORDS = (
    "x ../x a/b .. . é 人 💥 - -- null ~ yes 1e3 0x10 {} CON = a=b __class__ $(id) {{1}} fixed zeros learned sustained "
    "never start end skill maximize median adam sgd"
)
SCALARS: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 64, 100_000, 1_000_000, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30),
    *(0.0, -0.0, 0.5, 1.0, 1e-3, 1e30, 1e308, 5e-324, float("nan"), float("inf"), float("-inf")),
    *("", " ", "x" * 500, "\n", "a\nb", "\0", "\x1b[31m", "\u2028", "{range: 3}", *WORDS.split()),
]
KEY_WORDS = (
    "name question base sweep search zip range uniform log_uniform choices float int log step when space groups "
    "objective trials seeds sampler pruner report << task.lag task.symbols optimizer.lr cell.name a.b.c.d .. é"
)
KEYS = [*Trial.model_fields, *KEY_WORDS.split(), "x" * 300, "\n", ""]
KINDS = (tasks, cells, inits, encoders, schedules, measures)
FAMILIES = [kind.base.FAMILY for kind in KINDS]
FRAGMENTS = [
    *(b"!!python/object/apply:os.system ['true']", b"!!python/name:os.system", b"!!binary aGVsbG8=", b"!!set {a, b}"),
    *(b"!!timestamp 2024-01-01", b"!x ", b"&a ", b"*a ", b"<<: *a\n", b"<<: [*a, *a]\n", b"&a [*a]", b"? [a]\n: c\n"),
    *(b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\x80", b"\xc3\x28", b"\t", b"\r", b"\r\n", b"\xe2\x80\xa8", b"\x1b"),
    *(b"---\n", b"...\n", b"%YAML 1.1\n---\n", b"%TAG ! tag:x,2000:\n---\n", b"|\n", b">-\n", b"'", b'"', b": ", b"- "),
    *(b"[" * 50, b"{a: " * 50, b"{range: 1000000000}", b"{range: [0, -1, -1]}", b"{range: [0, 1e3]}", b"- " * 200),
    *(b".nan", b".inf", b"1e999", b"0o777777777777777777777777", b"0x" + b"f" * 30, b"9" * 50, b"=", b"2024-01-01"),
]


def specs(rng: random.Random) -> Any:
    """A component with its name and odd values of some of its fields."""
    family = rng.choice(FAMILIES)
    made = family.plugin(rng.choice(family.names()))
    fields = [name for name in made.model_fields if name != "name"]
    odd = {name: values(rng, 1) for name in rng.sample(fields, rng.randint(0, min(2, len(fields))))}
    return {"name": made.model_fields["name"].default, **odd}


def values(rng: random.Random, depth: int = 3) -> Any:
    """Any value."""
    kind = rng.random()
    if kind < 0.55 or depth == 0:
        return rng.choice(SCALARS)
    if kind < 0.7:
        return specs(rng)
    if kind < 0.8:
        return {"range": rng.choice([1, 3, 100, 10**9, [0, 3], [3, 0, -1], [0, 10**12, 10**11], [0, 5, 0], 1.5, "x"])}
    if kind < 0.9:
        return [values(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice(KEYS): values(rng, depth - 1) for _ in range(rng.randint(0, 3))}


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every container of a tree, with each of its keys or positions."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        pairs = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
        for key, value in list(pairs):
            found.append((item, key))
            waiting.append(value)
    return found


def grown(rng: random.Random, tree: Any) -> Any:
    """A tree with one thing changed: deleted, retyped, moved, doubled, nested, or added."""
    at = places(tree)
    if not at:
        return values(rng)
    item, key = rng.choice(at)
    other, elsewhere = rng.choice(at)
    match rng.randrange(7):
        case 0:
            del item[key]
        case 1 | 2:
            item[key] = values(rng)
        case 3:
            item[key] = json.loads(json.dumps(other[elsewhere]))
        case 4:
            item[key] = [item[key]] * rng.randint(0, 3)
        case 5:
            item[key] = {rng.choice(KEYS): item[key]}
        case _ if isinstance(item, dict):
            item[rng.choice(KEYS)] = values(rng)
        case _:
            item.append(values(rng))
    return tree


def garbled(rng: random.Random, text: bytes) -> bytes:
    """A text with one thing changed: bytes cut, doubled, replaced or put in, lines swapped or shifted."""
    begin = rng.randrange(len(text) + 1)
    end = min(len(text), begin + rng.choice([1, 1, 3, 20, 200]))
    match rng.randrange(6):
        case 0:
            return text[:begin] + text[end:]
        case 1:
            return text[:end] + text[begin:end] * rng.choice([1, 1, 2, 50]) + text[end:]
        case 2 | 3:
            return text[:begin] + rng.choice(FRAGMENTS) + text[begin:]
        case 4:
            return text[:begin] + bytes(rng.randrange(256) for _ in range(rng.randint(1, 3))) + text[end:]
        case _:
            lines = text.split(b"\n")
            first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
            lines[first], lines[second] = b" " * rng.choice([0, 1, 2]) + lines[second], lines[first]
            return b"\n".join(lines)


def written(rng: random.Random, tree: Any) -> bytes:
    """A tree as YAML, in one line or in many."""
    if rng.random() < 0.5:
        return json.dumps(tree).encode()
    out = StringIO()
    YAML(typ="safe", pure=True).dump(tree, out)
    return out.getvalue().encode("utf-8", "surrogatepass")


def shipped() -> list[tuple[bytes, Any]]:
    """The configs of the repository, as texts and as trees, renamed."""
    found = []
    for path in sorted(CONFIGS.glob("*.yaml")):
        text = re.sub(rb"(?m)^name: .*$", b"name: fuzzed", path.read_bytes())
        found.append((text, YAML(typ="safe", pure=True).load(text)))
    return found


def documents(rng: random.Random) -> Iterator[bytes]:
    """Documents without end."""
    seeds = shipped()
    while True:
        text, tree = rng.choice(seeds)
        data = text
        if rng.random() < 0.7:
            tree = json.loads(json.dumps(tree))
            for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
                tree = grown(rng, tree)
            data = written(rng, tree)
        for _ in range(rng.choice([0, 0, 1, 2, 5]) if data is not text else rng.choice([1, 1, 2, 5])):
            data = garbled(rng, data)
        yield data


class TooSlowError(BaseException):
    """A config took too much processor time. It is a BaseException, so that no handler hides it."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """A block that is interrupted after this much processor time."""

    def over(*_: object) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def fault(data: bytes, folder: Path) -> tuple[str, str]:
    """What went wrong while a document was loaded (or nothing), and the outcome."""
    path = folder / "fuzzed.yaml"
    path.write_bytes(data)
    try:
        with limited(SECONDS):
            experiment = Experiment.load(path)
            experiment.contrasts()
            if isinstance(experiment, Sweep):
                experiment.trials()
    except ConfigError as error:
        lines = str(error).replace(f"{folder}/", "").splitlines()
        unplaced = [line for line in lines if not PLACED.match(line) and not UNPLACED.match(line)]
        if not lines or unplaced:
            return f"no place: {unplaced or 'no text'}", "refused"
        long = [line for line in lines if len(line) > LARGEST_MESSAGE]
        return f"a line of {len(long[0])} characters" if long else "", "refused"
    except TooSlowError:
        return f"more than {SECONDS} s: {traceback.format_exc()}", "slow"
    except Exception:
        return traceback.format_exc(), "raised"
    return "", "loaded"


def typed(rng: random.Random) -> list[str]:
    """Options that a person might type by mistake, or a program on purpose."""
    words = [str(value) for value in SCALARS if "\0" not in str(value)]  # no argument can hold a null byte
    paths = [*KEYS, *(f"{field}.{name}" for field in ("task", "cell", "optimizer") for name in ("name", "lr", "lag"))]
    options = []
    for option in rng.choices(["--set", "--only"], k=rng.choice([0, 1, 1, 2])):
        value = rng.choice(
            [*words, json.dumps(values(rng, 2)), rng.choice(FRAGMENTS).decode("latin-1").replace("\0", "")]
        )
        options += [option, f"{rng.choice(paths)}={value}" if rng.random() < 0.9 else value]
    return options


def typed_fault(data: bytes, options: list[str], folder: Path) -> tuple[str, str]:
    """Like `fault`, for a dry run from the command line."""
    path = folder / "fuzzed.yaml"
    path.write_bytes(data)
    said = StringIO()
    before = sys.argv
    sys.argv = ["farback", "run", str(path), "--dry-run", "--workers", "1", *options]
    try:
        with limited(4 * SECONDS), redirect_stdout(said), redirect_stderr(said):
            main()
    except SystemExit as ended:
        code, text = ended.code or 0, said.getvalue()
        if code not in (0, 2) or "Traceback" in text or (code == 2 and not text.strip()):
            return f"exit code {code}:\n{text}", "raised"
        return "", "ran" if code == 0 else "refused"
    except TooSlowError:
        return f"more than {4 * SECONDS} s: {traceback.format_exc()}", "slow"
    except BaseException:
        return traceback.format_exc(), "raised"
    finally:
        sys.argv = before
    return "it did not end by itself", "raised"


def fuzz(
    seconds: float, seed: int, say: Callable[[str], object], cli: bool = False
) -> tuple[Counter[str], list[bytes]]:
    """Load random documents for a time; the counts of outcomes, and the documents that went wrong."""
    until = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    found = []
    rng = random.Random(seed)
    small = (CONFIGS / "smoke.yaml").read_bytes().replace(b"name: smoke", b"name: fuzzed")
    with tempfile.TemporaryDirectory() as folder:
        for data in documents(rng):
            if time.monotonic() > until:
                break
            if cli:
                data = small if rng.random() < 0.6 else data
                options = typed(rng)
                wrong, how = typed_fault(data, options, Path(folder))
                wrong = wrong and f"{options}\n{wrong}"
            else:
                wrong, how = fault(data, Path(folder))
            counts[how] += 1
            if wrong:
                found.append(data)
                say(f"--- {wrong}\n{data!r}\n")
    return counts, found


def started() -> int:
    """From the command line."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--minutes", type=float, default=1.0)
    reader.add_argument("--seed", type=int, default=int(time.time()), help="the same seed makes the same documents")
    reader.add_argument("--cli", action="store_true", help="dry runs with odd options")
    options = reader.parse_args()
    counts, found = fuzz(60 * options.minutes, options.seed, sys.stdout.write, options.cli)
    how = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    sys.stdout.write(f"seed {options.seed}: {counts.total()} documents: {how}; {len(found)} finds\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(started())
