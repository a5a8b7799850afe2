/* `roost bench hold`: how many clients, at what cost each. Main thread. */
#ifndef BENCH_HOLD_H
#define BENCH_HOLD_H

/* argv[0] is "hold". Returns enum bench_exit. */
int hold_main(int argc, char **argv);

#endif
