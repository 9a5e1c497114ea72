// One of many processes that take turns: burns BURN microseconds of CPU time, then sleeps for the rest of PERIOD
// microseconds, for ever; its first turn is after START microseconds.
//
// Of scripts/agent-cost.py: a machine of ten thousand processes of which each is sampled now and then, at a cost that
// does not depend on their number.

#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>

static struct timespec of_micros(long micros)
{
	return (struct timespec){ .tv_sec = micros / 1000000, .tv_nsec = micros % 1000000 * 1000 };
}

static long used_micros(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	long burn = atol(argv[1]), period = atol(argv[2]);
	struct timespec wait = of_micros(atol(argv[3]));

	for (;;) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
		long until = used_micros() + burn;

		while (used_micros() < until)
			;
		wait = of_micros(period - burn);
	}
}
