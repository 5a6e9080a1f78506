"""TinyLM-Scaling: a GPT from scratch, and how its loss scales with model size, data and context."""
