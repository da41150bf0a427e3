"""The archive's entry: see filedrop/process.py."""

import sys

from filedrop.process import main

sys.exit(main())
