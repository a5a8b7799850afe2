/* `roost bench storm`: what connected clients notice while others connect as fast as they can. */
#ifndef BENCH_STORM_H
#define BENCH_STORM_H

/* argv[0] is "storm". Returns enum bench_exit. */
int storm_main(int argc, char **argv);

#endif
