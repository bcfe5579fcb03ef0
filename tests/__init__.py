"""Tests, each named by the promise it holds.

unit/ needs neither network nor other processes; integration/ runs the real ones, on loopback.
"""
