/* `roost serve`: runs the gateway until SIGTERM or SIGINT. Main thread. */
#ifndef DAEMON_SERVE_H
#define DAEMON_SERVE_H

/* argv[0] is "serve". Returns the exit status; errors go to stderr. */
int serve_main(int argc, char **argv);

#endif
