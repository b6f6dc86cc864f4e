"""Figures and tables for a paper, from what the page shows: no figure is computed here.

ReportData, Results -> `plots` -> matplotlib figures -> `style` -> SVG, PDF, PNG
Results, ReportData -> `run_tables` -> `tables` -> LaTeX, Markdown, CSV
"""
