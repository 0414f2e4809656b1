# Importing it registers the native commands; it has nothing for Python.
