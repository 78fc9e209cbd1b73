"""All long work: a table of jobs, the worker that does them and the supervisor that keeps it up."""
