/* `roost ctl`: the admin API of a running gateway, from a shell. Main thread. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

/* argv[0] is "ctl". Returns the exit status, enum cli_exit; CLI_EXIT_FAILED: the gateway refused or did not answer.
 * Errors go to stderr. */
int ctl_main(int argc, char **argv);

#endif
