"""A run as one page to send to a colleague: report.html."""
