/* `roost bench floor`: a relay that is as little as can be on epoll. What it costs is what this machine's kernel costs,
 * and a server's distance to it is the server's own work. It does nothing right that a broker must: no index, no
 * checks, no sessions, no limits; it is for the bench's own clients on loopback. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

/* argv[0] is "floor". Returns enum bench_exit. */
int floor_main(int argc, char **argv);

#endif
