/* `roost bench latency`: how long a message takes under a light load, and where the time is spent, also compared with
 * other brokers and beside busy neighbours. Main thread. */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

/* argv[0] is "latency". Returns enum bench_exit. */
int latency_main(int argc, char **argv);

#endif
