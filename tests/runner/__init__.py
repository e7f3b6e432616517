"""What keeps a run of the tests bounded: limits that fail by name, processes that end, lost runners replaced.

`python -m tests.runner` is what `make test` calls; the modules are plugins of pytest.
"""
