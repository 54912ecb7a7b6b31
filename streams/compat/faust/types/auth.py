"""What credentials are made of: Faust's words for mechanisms and protocols."""

from enum import Enum

__all__ = ["AuthProtocol", "SASLMechanism"]


class AuthProtocol(Enum):
    """How a connection is secured; here it follows from the credentials."""

    SSL = "SSL"
    PLAINTEXT = "PLAINTEXT"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class SASLMechanism(Enum):
    """How an application logs in."""

    PLAIN = "PLAIN"
    GSSAPI = "GSSAPI"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"
    OAUTHBEARER = "OAUTHBEARER"
