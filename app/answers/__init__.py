"""Answers to the questions that people ask: impact, causes, comparisons of many."""
