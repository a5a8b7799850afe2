/* `roost bench`: the load generator that proves Roost's figures on the user's own machine, against Roost or any other
 * MQTT broker. It shares only base, net and mqtt with the server, so that it cannot share the server's bugs. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/* argv[0] is "bench". Returns the exit status; errors go to stderr. */
int bench_main(int argc, char **argv);

#endif
