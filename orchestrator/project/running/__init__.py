"""`manage.py up`: one process that starts the others, watches them and stops them in order."""
