"""What was learned from earlier failures: which are alike, and what helped."""
