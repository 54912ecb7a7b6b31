"""One screen each: what stream programs are usually asked for."""
