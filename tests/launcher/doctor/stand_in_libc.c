/* Stands in for a host's libc.so.6: its banner, or without one its symbol versions, say which release it is. */
#ifdef BANNER
const char banner[] = "GNU C Library (Stand-in GLIBC " BANNER "-1) stable release version " BANNER ".\n";
#endif
void stand_in(void) {}
