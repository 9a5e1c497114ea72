/* Functions inlined into each other, across macros, loops and statement expressions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIX(x, y)                                                                                                      \
    do {                                                                                                               \
        (x) ^= (y) << 3;                                                                                               \
        (x) += step((x), (y));                                                                                         \
    } while (0)

static inline unsigned step(unsigned x, unsigned y)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < (y & 7); i++)
        sum += x >> i;
    return sum;
}

static inline __attribute__((always_inline)) unsigned twice(unsigned x)
{
    MIX(x, x + 1);
    MIX(x, x >> 2);
    return x;
}

static inline unsigned outer(unsigned x)
{
    unsigned y = twice(x);
    if (y & 1)
        y += twice(y);
    return y;
}

static __attribute__((noinline)) unsigned kept(unsigned x, const char *text)
{
    if (!text) {
        fprintf(stderr, "no text for %u\n", x);
        abort();
    }
    return outer(x) + outer(x + (unsigned)strlen(text));
}

static int compare(const void *a, const void *b)
{
    unsigned left = twice(*(const unsigned *)a), right = twice(*(const unsigned *)b);
    return left < right ? -1 : left > right;
}

int main(int argc, char **argv)
{
    unsigned all[64];
    for (unsigned i = 0; i < 64; i++)
        all[i] = kept(i * 7919u + (unsigned)argc, argv[0]);
    qsort(all, 64, sizeof all[0], compare);
    unsigned sum = 0;
    for (unsigned i = 0; i < 64; i++)
        sum += outer(all[i]);
    printf("%u\n", sum);
    return sum == 0;
}
