"""The server behind `trt-playground serve`: its address, its token, and one app process per tab."""
