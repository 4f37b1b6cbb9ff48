"""Compares what a command prints in each format: every format must parse, and say what the JSON document says.

Takes a folder with files COMMAND.FORMAT and prints a line for each difference. The files of one command are of one
state; a command that changes something prints another object each time, so that only the shape is compared (CHANGES).
"""

import csv
import io
import json
import pathlib
import sys

import yaml


def cell(value):
    """A value as CSV has it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def shape(value):
    """Keys and kinds, without the values."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def differences(texts, changes):
    document = json.loads(texts["json"])
    rows = document if isinstance(document, list) else [document]
    lines = [json.loads(line) for line in texts["jsonl"].split("\n")[:-1]]
    from_yaml = yaml.safe_load(texts["yaml"])
    table = list(csv.reader(io.StringIO(texts["csv"], newline=""), strict=True))
    names = texts["name"].split("\n")[:-1]
    same = (lambda left, right: shape(left) == shape(right)) if changes else (lambda left, right: left == right)
    if not same(lines, rows):
        yield "jsonl differs"
    if not same(from_yaml, document):
        yield "yaml differs"
    keys = sorted({key for row in rows for key in row})
    if (table[0] if table else []) != keys:
        yield f"csv has the columns {table[:1]}, not {keys}"
    if len(table) != (len(rows) + 1 if keys else 0):
        yield f"csv has {len(table)} lines for {len(rows)} objects"
    if not changes and table[1:] != [[cell(row.get(key)) for key in keys] for row in rows]:
        yield "csv differs"
    if len(names) != len(rows) or not all(" " not in name and name for name in names):
        yield f"name has {names[:3]}"
    for people in ("table", "wide"):
        if not texts[people].endswith("\n") or "\x1b" in texts[people]:
            yield f"{people} has no end, or controls"


def main(folder):
    commands = {}
    for file in sorted(pathlib.Path(folder).iterdir()):
        # As bytes: line ends count.
        commands.setdefault(file.stem, {})[file.suffix[1:]] = file.read_bytes().decode()
    for command, texts in commands.items():
        changes = texts.pop("changes", None) is not None
        try:
            for difference in differences(texts, changes):
                print(f"{command}: {difference}")
        except (ValueError, KeyError, yaml.YAMLError, csv.Error) as error:
            print(f"{command}: {type(error).__name__}: {error}")
    print(f"{len(commands)} commands")


main(sys.argv[1])
