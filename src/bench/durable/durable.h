/* `roost bench durable`: messages to sessions that outlive their connections. */
#ifndef BENCH_DURABLE_H
#define BENCH_DURABLE_H

/* argv[0] is "durable". Returns enum bench_exit. */
int durable_main(int argc, char **argv);

#endif
