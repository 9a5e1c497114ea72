/* The processes of a storm, in the order of starting. */
#ifndef STORM_PLAN_H
#define STORM_PLAN_H

#include "entry.h"

#include <stdio.h>

/* Reads the next line of the plan, not the whole of it: a small launcher forks fast. Returns 0 at the end. */
int read_entry(FILE *plan, struct entry *entry);

#endif
