"""Backends: one module or package for each library that runs models. Imported only inside a worker."""
