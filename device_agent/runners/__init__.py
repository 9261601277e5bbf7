"""How a model is run, one file a kind of runtime. Imported only in child processes."""
