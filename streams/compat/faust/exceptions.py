"""What goes wrong, where Faust's programs import it from."""

from streams.compat.faust.errors import FaustError, ImproperlyConfigured, ValidationError

__all__ = ["FaustError", "ImproperlyConfigured", "ValidationError"]
