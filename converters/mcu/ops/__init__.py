"""One file an operator: what it promises of the model, and the kernel call it becomes."""
