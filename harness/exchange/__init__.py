"""Banks from and to other programs: mirt's table of coefficients and py-irt's parameters.

Both are in the logistic metric (D = 1), as we are. An item whose curves a format cannot hold is an
error that names it. Of parameter uncertainty mirt's table keeps standard errors, and py-irt's file
nothing.
"""

from harness.exchange.banks import export_bank, import_bank
from harness.exchange.found import Format, Population

__all__ = ["Format", "Population", "export_bank", "import_bank"]
