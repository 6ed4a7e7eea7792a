"""How a model's layers run: which of them are one operation, and in what order."""
