import sys

from contacts.cli import main

sys.exit(main())
