/* `roost bench pubsub`: closed-loop messages through a broker. Main thread. */
#ifndef BENCH_PUBSUB_H
#define BENCH_PUBSUB_H

/* argv[0] is "pubsub". Returns enum bench_exit. */
int pubsub_main(int argc, char **argv);

#endif
