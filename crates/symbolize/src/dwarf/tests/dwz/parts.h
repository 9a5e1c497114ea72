/* Functions that two programs have inlined from one header. */
struct part { struct part *next; const char *name; long weight; unsigned kind; int flags[8]; };
static inline long weight_of(const struct part *part) { return part->weight * 3 + part->flags[part->kind & 7]; }
static inline long sum_of(const struct part *part)
{
    long sum = 0;
    for (; part; part = part->next)
        sum += weight_of(part);
    return sum;
}
static inline int is_heavy(const struct part *part, long limit) { return part && sum_of(part) > limit; }
