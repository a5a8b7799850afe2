/* `roost ctl drain`: asks for it, and shows how far it is until no client is left. Main thread. */
#ifndef CTL_DRAIN_H
#define CTL_DRAIN_H

#include "ctl/http_client.h"

#include <stdint.h>

struct ctl_drain {
	uint32_t over_s;              /* 0: the server's default */
	uint32_t grace_s;             /* UINT32_MAX: the server's default */
	const char *server_reference; /* NULL: none */
	bool moved;
	bool cancel;
	bool waits;
	bool json;
};

/* Returns the exit status. */
int ctl_drain(struct http_client *client, const struct ctl_drain *drain);

#endif
