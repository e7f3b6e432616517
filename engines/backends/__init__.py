"""The libraries that run models, one file or folder each. Imported only inside a worker."""
