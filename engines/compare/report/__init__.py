"""A comparison as a table, and as Markdown, CSV and a web page."""
