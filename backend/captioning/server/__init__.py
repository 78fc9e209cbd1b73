"""The captioner that asks a server which speaks the chat completions of OpenAI's interface."""
