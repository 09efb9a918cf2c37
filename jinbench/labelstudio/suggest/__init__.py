"""Suggestions for annotators, and the order of their tasks."""
