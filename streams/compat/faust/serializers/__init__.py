"""How values are written: the codecs, by name."""

from streams.compat.faust.serializers import codecs
from streams.compat.faust.serializers.codecs import CODECS, Codec, codec, register

__all__ = ["CODECS", "Codec", "codec", "codecs", "register"]
