"""What a person sees: the web shell, the page and its tabs."""
