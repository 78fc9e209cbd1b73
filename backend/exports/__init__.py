"""What every export has in common: whole folders, rows, and the containers that hold them."""
