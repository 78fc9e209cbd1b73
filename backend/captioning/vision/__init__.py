"""The captioner that runs a vision-language model on this machine, by transformers."""
