"""Requests and their results."""
