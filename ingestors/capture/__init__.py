"""Recording a command: what it ran on and with, what became of it. Used by ``kinlore run``."""
