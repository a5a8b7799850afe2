/* `roost bench stored`: what sessions cost that are offline. */
#ifndef BENCH_STORED_H
#define BENCH_STORED_H

/* argv[0] is "stored". Returns enum bench_exit. */
int stored_main(int argc, char **argv);

#endif
