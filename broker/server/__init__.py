"""Connections, requests and their answers: everything of the broker that touches a socket."""
