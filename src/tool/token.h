/* The kinds of `roost token`; argv[0] is the last word that was read. Each returns the exit status. Main thread. */
#ifndef TOOL_TOKEN_H
#define TOOL_TOKEN_H

int token_issue_main(int argc, char **argv);
int token_inspect_main(int argc, char **argv);
int token_keygen_main(int argc, char **argv);

#endif
