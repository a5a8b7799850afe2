/* What a gateway leaves to the next program, and what it takes over from the previous one: the root of memory, arenas,
 * notes and descriptors. Main thread, while the gateway has no threads. */
#ifndef CONTROL_HERITAGE_H
#define CONTROL_HERITAGE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct gateway;
struct settings;

/* A root, notes and an arena for what the shards share. Where the kernel refuses a memfd, memory is anonymous, which
 * the log says: there is no upgrade then. */
void heritage_make(struct gateway *gateway);
/* Adopts the previous program's root, converted where that had another layout (layout/adoption.h), and the facts of its
 * gateway: settings that cannot change under clients are as they were, and the log says which of them wait for a
 * restart. ERROR_NOT_FOUND and others: after logging why; the previous program can adopt the same again. */
enum error heritage_adopt(struct gateway *gateway, struct settings *settings, int root_fd);
/* With the layout known, and before anything lies in memory that outlives the program: where the descriptor table has
 * no room for that, nothing does. */
void heritage_check_table(struct gateway *gateway);
/* An arena for each shard; with the number of shards known. */
enum error heritage_open_arenas(struct gateway *gateway);
/* After the shards were opened: what they had beside their memory. */
enum error heritage_adopt_parts(struct gateway *gateway);

/* Notes all that the next program needs, and holds its access control (access_hold()). The gateway is frozen. false:
 * why says why not, and nothing is held. */
bool heritage_save(struct gateway *gateway, char *why, size_t why_size);
/* Whether the descriptors that the next program goes on with outlive execve(). */
void heritage_keep(const struct gateway *gateway, bool keep);
/* After all that lies in arenas was closed. */
void heritage_close(struct gateway *gateway);
/* The new program serves: what only the previous one needed is closed, its memory from before a conversion too. */
void heritage_settle(struct gateway *gateway);

#endif
