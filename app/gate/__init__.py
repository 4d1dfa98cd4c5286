"""``kinlore check``: what a change to a repository puts at risk, told where the change is agreed."""
