/* `roost bench run`: a scenario against a broker. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

/* argv[0] is "run". Returns enum bench_exit. */
int run_main(int argc, char **argv);

#endif
