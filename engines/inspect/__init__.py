"""What is inside a stored engine: the nodes of its graph and the layers of its library.

`python -m engines.inspect FOLDER` prints it as JSON. The files may come from strangers, so that
`engines.inspect.process` lets another process parse them.
"""
