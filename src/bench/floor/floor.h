/* `roost bench floor`: the least that a relay can be on epoll. Its cost is the cost of this machine's kernel, and a
 * server's distance to it is the server's own work. It has nothing that a broker needs: no index, no checks, no
 * sessions, no limits. It is for the bench's own clients on loopback. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

/* argv[0] is "floor". Returns enum bench_exit. */
int floor_main(int argc, char **argv);

#endif
