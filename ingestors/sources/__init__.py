"""The built-in sources, one module or package each. They never import each other."""
