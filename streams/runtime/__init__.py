"""What runs a topology: tasks, their input, their commits, and the worker that drives them."""
