"""What the report and the studio are made with: templates, styles, diffs of words, figures as SVG."""
