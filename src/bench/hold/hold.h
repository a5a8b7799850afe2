/* `roost bench hold`: how many clients a server holds, and what each costs. Main thread. */
#ifndef BENCH_HOLD_H
#define BENCH_HOLD_H

/* argv[0] is "hold". Returns enum bench_exit. */
int hold_main(int argc, char **argv);

#endif
