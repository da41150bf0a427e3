"""An Orderport connector: orders as signed JSON files in a directory.

Start with process.py, the life of the process; server.py has the calls,
delivery.py what one export does.
"""
