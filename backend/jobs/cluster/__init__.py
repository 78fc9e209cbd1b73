"""Jobs on a Ray cluster: handed over, watched, and spread over its machines."""
