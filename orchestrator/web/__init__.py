"""The same walls for HTML pages."""
