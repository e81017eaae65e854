import sys

from weblog.cli import main

sys.exit(main())
