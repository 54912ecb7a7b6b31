"""What commands of an application are declared with: `@app.command(faust.cli.option("--count", type=int))`."""

from click import argument, option

__all__ = ["argument", "option"]
