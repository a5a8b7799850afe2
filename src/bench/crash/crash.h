/* `roost bench crash`: kills a server under durable load, again and again, and checks each time that what it had
 * acknowledged is there. */
#ifndef BENCH_CRASH_H
#define BENCH_CRASH_H

/* argv[0] is "crash". Returns enum bench_exit. */
int crash_main(int argc, char **argv);

#endif
