"""The engine's version; results name it."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("irt-engine")
except PackageNotFoundError:
    __version__ = "0+source"
