"""From predictions to evidence: figures with intervals, comparisons and subgroups."""
