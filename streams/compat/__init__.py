"""Programs written for other libraries, on this runtime: `from streams.compat import faust` instead of `import faust`.

Rules: each library's names and their meaning are those that its users know; what is not there says so by name, at the
earliest moment. Nothing of the other library is imported, so it need not be installed.
"""
