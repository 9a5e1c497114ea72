/* Reads a plan: one process a line, tab-separated, in the order of starting. Written by plan.rs. */
#define _GNU_SOURCE
#include "plan.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *field(char **rest)
{
    char *value = strsep(rest, "\t");
    if (value == NULL)
        errx(1, "the plan has a short line");
    return value;
}

int read_entry(FILE *plan, struct entry *entry)
{
    static char *buffer;
    static size_t size;
    ssize_t length = getline(&buffer, &size, plan);
    if (length <= 0)
        return 0;
    buffer[length - 1] = '\0';

    char *line = buffer;
    struct slot *orders = &entry->orders;
    memset(entry, 0, sizeof *entry);
    entry->at_ns = strtoull(field(&line), NULL, 10);
    entry->start = (enum start)atoi(field(&line));
    orders->step = (uint32_t)atoi(field(&line));
    orders->images = (uint32_t)atoi(field(&line));
    orders->wait_go = (uint32_t)atoi(field(&line));
    orders->verify = (uint32_t)atoi(field(&line));
    for (int i = 0; i < MAX_IMAGES; i++)
        orders->burn_ns[i] = strtoull(field(&line), NULL, 10);
    orders->slice_ns = strtoull(field(&line), NULL, 10);
    orders->pause_ns = strtoull(field(&line), NULL, 10);
    for (int i = 0; i < MAX_IMAGES; i++) {
        const char *path = field(&line);
        if (strlen(path) >= MAX_PATH)
            errx(1, "path too long: %s", path);
        strcpy(orders->path[i], path);
    }
    return 1;
}
