"""The command line: parse, call, print, exit. Nothing else in edgeq prints.

main        entry point, exit codes, errors
context     what commands share: options, environment, output
progress    events as bars and notes on stderr
convert check build simulate flash profile deploy targets doctor      one file per command
"""
