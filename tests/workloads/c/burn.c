/* The payload: every executable of the storm is this program under another name. The last argument is its slot; a
 * script puts others before it. */
#include "slot.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *number = argv[argc - 1];
    off_t offset = (off_t)strtoul(number, NULL, 10) * SLOT_SIZE;
    struct slot *slot = mmap(NULL, SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, SLOT_FD, offset);
    if (slot == MAP_FAILED)
        _exit(121);
    run_image(slot, number);
}
