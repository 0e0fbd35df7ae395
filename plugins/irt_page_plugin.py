"""Where Airflow looks for plugins in a folder; an installed package has an entry point."""

from irt.page.plugin import IrtPagePlugin

__all__ = ["IrtPagePlugin"]
