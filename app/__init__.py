"""What people see: the Textual app and its command line."""
