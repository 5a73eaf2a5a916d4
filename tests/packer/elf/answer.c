// The object under test: thread-local and zeroed memory, relocated pointers, a neighbour that its library path leads
// to.
#ifndef ZERO_IN_FILE
#define ZERO_IN_FILE 0
#endif
#ifdef TLS
static __thread int initial = 30;
static __thread int zero[200];
#else
static int initial = 30;
static int zero[200] = {ZERO_IN_FILE};
#endif
#ifdef BSS
static char large[3 << 20];
#endif
static int three(void) {
  return 3;
}
static int nine(void) {
  return 9;
}
int (*const functions[])(void) = {three, nine};
int (*volatile writable[])(void) = {three, nine};
int neighbour(void);

int answer(void) {
#ifdef BSS
  large[sizeof large - 1] = 1;
  zero[199] += large[sizeof large - 1] - 1 + large[0];
#endif
  return initial + zero[199]++ + functions[0]() + writable[1]() + neighbour();  // 42, then 43
}
