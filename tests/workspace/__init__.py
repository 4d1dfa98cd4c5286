"""A churn project made with the real git, DVC and MLflow, and the truth computed from those tools."""
