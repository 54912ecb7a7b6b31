"""One file per API or family of APIs: each handler turns a request into a response body."""
