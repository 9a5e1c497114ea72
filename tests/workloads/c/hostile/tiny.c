/* The smallest program: uses about two milliseconds of CPU time and ends. Without a C library, so that ten thousand
 * copies of it fit onto a disk. */
static void leave(void) __attribute__((noreturn));

static void leave(void)
{
#if defined(__x86_64__)
    __asm__ volatile("syscall" : : "a"(231), "D"(0) : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long number __asm__("x8") = 94;
    register long code __asm__("x0") = 0;
    __asm__ volatile("svc 0" : : "r"(number), "r"(code) : "memory");
#else
#error "exit_group is not known here"
#endif
    __builtin_unreachable();
}

void _start(void)
{
    for (unsigned i = 4000000; i > 0; i--)
        __asm__ volatile("" : "+r"(i));
    leave();
}
