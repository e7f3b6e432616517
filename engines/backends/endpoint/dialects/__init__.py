"""The kinds of servers, one file each: how they are recognised, asked and read."""
