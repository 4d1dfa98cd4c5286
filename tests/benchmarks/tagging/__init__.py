"""How many failure categories are right, on reports labelled before there were rules."""
