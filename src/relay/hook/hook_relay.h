/* Hooks that post publishes to HTTP endpoints. A hook is a client of Roost's own: its session, which never expires, has
 * what the endpoint has not taken yet, so that it is as durable as the store, bounded, and visible. One thread serves
 * all hooks (hook_loop.h). The main thread makes, starts and stops it; it may be stopped and started again, which keeps
 * the sessions. */
#ifndef RELAY_HOOK_HOOK_RELAY_H
#define RELAY_HOOK_HOOK_RELAY_H

#include "relay/hook/hook_status.h"
#include "relay/item/hook.h"

struct gateway;
struct hook_relay;

/* Copies the hooks, but not the node's name, which is in the source of events. attention_fd: an eventfd that is written
 * to when hook_relay_is_due(); the caller's. NULL: memory is short. */
struct hook_relay *hook_relay_new(const struct hooks *hooks, const char *node, int attention_fd, bool private_table);
/* After hook_relay_stop(). */
void hook_relay_free(struct hook_relay *relay);

/* Opens a session for each hook and starts the thread, where there are hooks. Sessions of hooks that are gone take no
 * more, and end where nothing waits in them. False: after logging why; what hooks take waits in their sessions. */
bool hook_relay_start(struct hook_relay *relay, struct gateway *gateway);
/* Ends the thread, its sessions' connections and its process, within little more than HOOK_LOOP_STOP_MS. Does nothing
 * where it was not started. */
void hook_relay_stop(struct hook_relay *relay);

/* Hands over other hooks, which it has from its next start on. Any thread that has the attention descriptor. */
void hook_relay_use(struct hook_relay *relay, const struct hooks *hooks);
/* Whether it is to be stopped and started: there are other hooks, a session was lost, or it could not be started. Main
 * thread. */
bool hook_relay_is_due(struct hook_relay *relay);

/* What waits is asked of the gateway. Any thread but a shard's, with the shards' wakers in its descriptor table. */
void hook_relay_status(struct hook_relay *relay, struct hooks_status *status);

#endif
