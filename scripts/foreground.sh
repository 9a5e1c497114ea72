#!/usr/bin/env bash
# Runs a command so that Ctrl-C reaches it alone. It would reach make too, which then fails whatever the command says.
# A job of its own is only right at a terminal: elsewhere signals go to the whole group.
[ -t 0 ] && set -m
"$@"
