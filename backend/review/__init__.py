"""Experts judge captions and images: sets, verdicts, adjudication, agreement, caption sets."""
