"""Whole synthetic sets as one job: candidates made, judged, chosen, and described in a card."""
