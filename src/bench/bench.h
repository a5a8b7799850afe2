/* `roost bench`: the load generator that proves Roost's figures on the user's own machine, against Roost or any other
 * MQTT broker. It shares only base, net and mqtt with the server, so it cannot share the server's bugs.
 *
 * Folders, each including only those before it: measure (counting, pure), report (figures, tables, plots), target (the
 * broker under load and its machine), options, client (pools of MQTT clients, threads), floor (the bare relay), load
 * (messages in a loop or at a rate), and the commands on top: pubsub with latency, hold, storm, scenario and run. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/* argv[0] is "bench". Returns the exit status; errors go to stderr. */
int bench_main(int argc, char **argv);

#endif
