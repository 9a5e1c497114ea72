#include "parts.h"
__attribute__((noinline)) int one(const struct part *part) { return is_heavy(part, 10) + (int)sum_of(part->next); }
int main(int argc, char **argv) { struct part part = { 0, argv[0], argc, (unsigned)argc, { 1, 2, 3 } }; return one(&part); }
