"""The shared engine of DermaFlux Studio: everything the page, the command line and a script call."""
