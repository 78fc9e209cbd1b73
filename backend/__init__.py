"""The shared engine of DermaFlux Studio: what page, command line and scripts call."""
