"""`transferkit inspect`: what to know of a data set before training on it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from transferkit.cli.tables import echo_table
from transferkit.errors import UsageError
from transferkit.printable import shown

if TYPE_CHECKING:
    from transferkit.data.audit import Audit

EXAMPLE = """\b
Examples:
  transferkit inspect photos/
  transferkit inspect photos/ --exclude-list bad.csv --sheet bad.png
  transferkit finetune photos/ --exclude bad.csv"""
EXAMPLES = 3  # files shown of each finding


@click.command(epilog=EXAMPLE)
@click.argument("data")
@click.option("--exclude", metavar="FILE", help="Text or CSV file with paths to leave out.")
@click.option("--group-by", metavar="COLUMN|REGEX", help="Files that must share a split; see finetune.")
@click.option("--csv", "csv", metavar="FILE", help="Write a row for every finding.")
@click.option("--exclude-list", metavar="FILE", help="Write the files that finetune --exclude should skip.")
@click.option("--sheet", metavar="FILE.png", help="Draw the findings as one picture.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def inspect(
    context: click.Context,
    data: str,
    exclude: str | None,
    group_by: str | None,
    csv: str | None,
    exclude_list: str | None,
    sheet: str | None,
    as_json: bool,
) -> None:
    """Look for what would spoil a classifier in DATA; change nothing.

    DATA is what finetune takes. The exit status is 1 if there is a finding of level error.
    """
    from transferkit.api import audit
    from transferkit.runs import write_csv

    files = {"--csv": csv, "--exclude-list": exclude_list, "--sheet": sheet}
    _check_places(files, data, exclude)
    found = audit(data, exclude=exclude, group_by=group_by)
    try:
        if csv:
            write_csv(Path(csv), found.findings)
        if exclude_list:
            write_csv(Path(exclude_list), found.exclude)
        if sheet:
            from transferkit.reports.sheet import draw_sheet

            draw_sheet(found, Path(sheet))
    except OSError as error:
        raise UsageError(f"{error.filename or 'a file'} cannot be written: {error.strerror}.") from error
    if as_json:
        rows = found.findings.to_dict(orient="records")
        document = {"classes": found.classes, "findings": rows, "scan": _scan(found)}
        click.echo(json.dumps(document, ensure_ascii=False))
    else:
        _show(found)
    context.exit(1 if found.errors else 0)


def _check_places(files: dict[str, str | None], data: str, exclude: str | None) -> None:
    """Refuse places to write to of which one will not do, or that two options share."""
    for option, file in files.items():
        _check_writable(option, file, data, exclude)
    places = [Path(file).resolve() for file in files.values() if file]
    if len(set(places)) < len(places):
        raise UsageError(f"{', '.join(files)}: two of them name one file; give each its own.")


def _check_writable(option: str, file: str | None, data: str, exclude: str | None) -> None:
    """Refuse a place that cannot be written, or that holds something of the user's."""
    if not file:
        return
    path = Path(file)
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{option} {file}: no such folder.")
    if path.is_dir():
        raise UsageError(f"{option} {file} is a folder; the name of a file is needed.")
    if option == "--sheet" and path.suffix.lower() != ".png":
        raise UsageError(f"--sheet {file}: a PNG is drawn; give a name that ends in .png.")
    mine = [Path(place).resolve() for place in (data, exclude or data)]
    inside = Path(data).is_dir() and path.resolve().is_relative_to(mine[0])
    if path.resolve() in mine or inside:
        raise UsageError(f"{option} {file} is or lies in what is inspected; give another place.")
    if path.exists() and not _is_ours(path):
        raise UsageError(f"{option} {file} is there already and not of inspect's making; give another name.")


def _is_ours(path: Path) -> bool:
    """Whether a file is one that an earlier inspect wrote."""
    from transferkit.reports.sheet import is_sheet

    if path.suffix.lower() == ".png":
        return is_sheet(path)
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.readline().startswith(("path,finding,", '"path","finding",'))
    except (OSError, UnicodeDecodeError):
        return False


def _scan(found: "Audit") -> dict[str, float]:
    return {"files": found.files, "read": found.scanned, "seconds": round(found.seconds, 3)}


def _show(found: "Audit") -> None:
    """The audit for people: the classes, each kind of finding with its first files, a verdict."""
    splits = [s for s in ("train", "val", "test") if any(s in counts for counts in found.classes.values())]
    rows = [
        [shown(label), *(str(counts.get(split, 0)) for split in (*splits, "total"))]
        for label, counts in found.classes.items()
    ]
    echo_table(["class", *splits, "images"], rows)
    if len(found.findings):
        click.echo()
        _show_kinds(found)
    click.echo()
    levels = found.findings["level"].value_counts()
    counts = ", ".join(_counted(levels.get(level, 0), level) for level in ("error", "warning", "note"))
    rate = f", {found.files / found.seconds:.0f} files/s" if found.seconds > 0 else ""
    click.echo(
        f"{counts}. {_counted(found.files, 'file')} in {found.seconds:.1f} s ({found.scanned} read{rate})."
    )
    if len(found.exclude):
        files = _counted(len(found.exclude), "file")
        click.echo(f"--exclude-list FILE writes the {files} that finetune should leave out.")
    for lost in found.lost:
        click.echo(f"WARNING: with it {lost} would have no image left.")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _show_kinds(found: "Audit") -> None:
    from transferkit.data.findings import KINDS

    rows = []
    for (level, name), part in found.findings.groupby(["level", "finding"], sort=False):
        kind = KINDS[str(name)]
        rows.append([str(level), str(name), str(len(part)), kind.meaning, kind.remedy])
        for path, detail in part[["path", "detail"]].head(EXAMPLES).itertuples(index=False):
            rows.append(["", "", "", f"  {shown(path, 60)}", shown(detail, 90)])
        if len(part) > EXAMPLES:
            rows.append(["", "", "", f"  and {len(part) - EXAMPLES} more: --csv FILE", ""])
    echo_table(["level", "finding", "files", "what it is", "what is done, or what to do"], rows, left=5)
