/* Moves a session of a scene's shard as between two nodes, but on the same shard: told as bytes in slices, ended, and
 * put together again. One thread. */
#ifndef TESTS_UNIT_MOVER_H
#define TESTS_UNIT_MOVER_H

#include "memory/bytes.h"
#include "runtime/nodes/moves.h"

#include <stdbool.h>

struct shard_scene;

/* So that sessions can move. Before the first client comes. */
void mover_open(struct shard_scene *scene);
/* Before the scene is freed or restarted. */
void mover_close(struct shard_scene *scene);

/* The session's connection, if it has one, is taken over. It becomes a husk. False: there is no such session that
 * outlives its connection. */
bool mover_begin(struct shard_scene *scene, uint16_t shard, const char *id, struct move **move);
/* Tells the husk, in slices of `slice` bytes, to where nothing more is to tell now. */
void mover_pack(struct shard_scene *scene, uint16_t shard, struct move *move, size_t slice, struct bytes *out);
/* The husk ends. */
void mover_let_go(struct shard_scene *scene, uint16_t shard, struct move *move);
/* Takes bytes, in slices of so many; the move is begun with *move == NULL. */
enum error mover_unpack(struct shard_scene *scene, uint16_t shard, const char *id, struct slice bytes, size_t slice,
			struct move **move);
/* All of that. The session that is there afterwards is told again and compared. */
bool mover_move(struct shard_scene *scene, uint16_t shard, const char *id, size_t slice);

#endif
