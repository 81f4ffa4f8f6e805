"""`transferkit explain`: why a run says what it says."""

import click

from transferkit.cli.pages import page_file
from transferkit.printable import shown, visible

EXAMPLE = """\b
Examples:
  transferkit explain runs/pets-1 new.jpg
  transferkit explain runs/pets-1 photos/cats --stage stage4 --filters --out why.html"""


@click.command(epilog=EXAMPLE)
@click.argument("run")
@click.argument("images", nargs=-1, required=True)
@click.option("--stage", metavar="NAME", help="Where the heat is taken [default: the last of 4 x 4 or more].")
@click.option("--filters", is_flag=True, help="Draw the first filters, and what in train excites each most.")
@click.option("--out", metavar="FILE.html", default="explain.html", show_default=True, help="The page.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, gpu or gpu:N.")
def explain(
    run: str, images: tuple[str, ...], stage: str | None, filters: bool, out: str, device: str
) -> None:
    """Draw what spoke for the answer of a RUN on each of IMAGES, its top 5, and what it is most like."""
    target = page_file(out)
    from transferkit.api.explaining import explain as run_explain
    from transferkit.api.explaining import train_image
    from transferkit.api.filters import filters_of
    from transferkit.reports import explanation
    from transferkit.runs import Run

    opened = Run.open(run)
    found = run_explain(opened, images, stage=stage, filters=filters, device=device)
    title = f"{opened.folder.name}: why"
    read = train_image(opened)
    text = explanation.page(
        title,
        found.images,
        found.filters,
        stage=found.stage,
        read=read,
        filters_of=filters_of(found.ranked, found.kept),
        by_train=found.ranked > 0,
    )
    target.write_text(text, encoding="utf-8", errors="replace")
    for one in found.images:
        best = ", ".join(f"{shown(name)} {p:.1%}" for name, p in one.top5)
        like = ", ".join(f"{shown(label)} ({shown(path)})" for path, label, _ in one.nearest)
        known = f" (this image took part in the run: {one.split})" if one.split else ""
        click.echo(f"{shown(one.path)}: {best}; most like {like}; strangeness {one.strangeness}{known}")
    if filters and found.ranked < found.kept:
        click.echo(f"filters: beside {filters_of(found.ranked, found.kept)}", err=True)
    click.echo(f"page: {target}")
    for path, reason in found.failed.items():
        click.echo(f"left out: {shown(path)}: {visible(reason)}", err=True)
    if found.failed:
        raise click.exceptions.Exit(1)
