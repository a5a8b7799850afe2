/* `roost ctl upgrade`: asks for it, and waits until the program that answers says what came of it. Main thread. */
#ifndef CTL_UPGRADE_H
#define CTL_UPGRADE_H

#include "ctl/http_client.h"

/* path: of the new program, absolute; NULL: where the server was started from. waits: until it is over, two minutes at
 * most. Returns the exit status: CLI_EXIT_FAILED where the old program serves on. */
int ctl_upgrade(struct http_client *client, const char *path, bool waits, bool json);

#endif
