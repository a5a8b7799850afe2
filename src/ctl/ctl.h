/* `roost ctl`: the admin API of a running gateway from a shell. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

/* argv[0] is "ctl". Returns the exit status: 0, 1 where the gateway said no or did not answer, 2 where the command line
 * is wrong. Errors go to stderr. */
int ctl_main(int argc, char **argv);

#endif
