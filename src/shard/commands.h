/* Carries out what the admin side asks of a shard (runtime/command.h). By the shard's thread. */
#ifndef SHARD_COMMANDS_H
#define SHARD_COMMANDS_H

struct shard;

/* Some of those that wait. */
void commands_run(struct shard *shard);

#endif
