"""Compare the engines of a checkpoint: what each precision does to the probabilities of given texts.

One engine is in memory at a time. The reference's log-probabilities are kept on disk, so are finished rows.
"""
